import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from '../support/browser.js';
import { SampleProcess } from './sample-process.js';

export const ADA = { username: 'ada', password: 'lovelace' };
export const ADA_IN_PUBLIC = { id: 1, username: 'ada', name: 'Ada Lovelace', picture: '/pictures/ada.svg' };
export const JSON_ONLY = { accept: 'application/json' };

export const closers: (() => unknown)[] = [];

/** Ends what a test has started, the last first. */
export async function closeAll() {
  for (const close of closers.splice(0).reverse()) await close();
}

/** The sample over a database of its own; a temporary one unless `DATABASE_FILE` says where. */
export async function quickstart(env: Record<string, string> = {}): Promise<SampleProcess> {
  const sample = await SampleProcess.start('01-quickstart', { DATABASE_FILE: temporaryDatabase(), ...env });
  closers.push(() => sample.stop());
  return sample;
}

export function temporaryDatabase(): string {
  const directory = mkdtempSync(join(tmpdir(), 'quickstart-'));
  closers.push(() => rmSync(directory, { recursive: true }));
  return join(directory, 'data', 'users.db');
}

export function browserOn({ url }: SampleProcess, ...rest: [options?: object, cookies?: Browser['cookies']]): Browser {
  const browser = new Browser(url, ...rest);
  closers.push(() => browser.close());
  return browser;
}
