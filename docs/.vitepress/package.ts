import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

const { homepage, repository } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  homepage: string;
  repository: { url: string };
};

/** The address of the site, with a slash at its end. */
export const SITE = homepage;

/** Where the sources are to be read. */
export const REPOSITORY = repository.url.replace(/^git\+|\.git$/g, '');
