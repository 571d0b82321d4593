/**
 * A Chromium to test pages in: the one named, the one installed, or, as root on Debian, one installed now.
 * Nothing is downloaded from a browser vendor: playwright-core comes without browsers.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome'];
/** No sandbox inside a sandbox, no QUIC, and nothing that phones home. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** With a fresh profile, which goes away with the browser. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath(), args });
}

/** CHROMIUM_BIN, else on PATH, else installed. Throws with what to do. */
function chromiumPath(): string {
  const named = process.env['CHROMIUM_BIN'];
  if (named !== undefined && named !== '') {
    if (isProgram(named)) return named;
    throw new Error(`CHROMIUM_BIN names "${named}", which is not a program.`);
  }
  const installed = findOnPath(names) ?? (mayInstall() ? install() : undefined);
  if (installed !== undefined) return installed;
  throw new Error(
    'The test of the demo page needs a browser: install Chromium (on Debian and Ubuntu `apt-get install chromium`) ' +
      'or name one in CHROMIUM_BIN.',
  );
}

function mayInstall(): boolean {
  return process.getuid?.() === 0 && findOnPath(['apt-get']) !== undefined;
}

function install(): string | undefined {
  process.stderr.write('no Chromium found: installing it with apt-get, which takes a minute\n');
  const options = {
    stdio: ['ignore', 2, 2] as ['ignore', number, number],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  try {
    execFileSync('apt-get', ['update'], options);
    execFileSync('apt-get', ['install', '-y', 'chromium'], options);
  } catch (error) {
    process.stderr.write(`apt-get failed: ${(error as Error).message}\n`);
  }
  return findOnPath(names);
}

function findOnPath(programs: string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return programs.flatMap((program) => folders.map((folder) => join(folder, program))).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
