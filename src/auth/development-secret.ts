/** The secret of development tokens: made once, kept in DATA_DIR, so that tokens outlive a restart. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Readable by the owner only. Throws when the folder cannot be written. */
export function developmentSecret(dataDir: string): string {
  const path = join(dataDir, 'development-secret');
  mkdirSync(dataDir, { recursive: true });
  try {
    // 'wx' fails when it exists: of two servers that start at once, the first one's secret counts for both.
    writeFileSync(path, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(path, 'utf8').trim();
}
