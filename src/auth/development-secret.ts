/** The secret of development tokens: made once, kept in DATA_DIR, so that tokens outlive a restart. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Readable by the owner only. Throws when the folder cannot be written. */
export function developmentSecret(dataDir: string): string {
  const path = join(dataDir, 'development-secret');
  mkdirSync(dataDir, { recursive: true });
  const secret = readSecret(path);
  if (secret === '') rmSync(path, { force: true }); // left by a start that died while writing
  return secret || makeSecret(path);
}

function makeSecret(path: string): string {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 });
  try {
    // A link appears whole or not at all, and fails when another server was first: then its secret counts for both.
    linkSync(draft, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A file system without links: whole all the same, but of two at once the second one counts.
    if (code === 'EPERM' || code === 'ENOTSUP') renameSync(draft, path);
    else if (code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(path, 'utf8').trim();
}

/** Undefined when there is none. */
function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}
