/** Stands for this site, whose name does not matter: a path leads to the same place on every one. */
const THIS_SITE = 'http://this-site.invalid';

/**
 * The value as a path of this site, with query and fragment. `undefined` where it leads elsewhere or is no path.
 *
 * It is read as browsers read it (WHATWG URL). They drop tabs and line breaks and take a backslash for a slash, so that
 * `/\evil.test` is another site.
 */
export function pathOfThisSite(value: unknown): string | undefined {
  if (typeof value !== 'string' || !value.startsWith('/')) {
    return undefined;
  }
  const path = resolve(value);
  // `/.//evil.test` is a path of this site. Without its dots, as it would be sent, it is not.
  return path !== undefined && resolve(path) === path ? path : undefined;
}

function resolve(value: string): string | undefined {
  if (!URL.canParse(value, THIS_SITE)) {
    return undefined;
  }
  const { href } = new URL(value, THIS_SITE);
  return href.startsWith(`${THIS_SITE}/`) ? href.slice(THIS_SITE.length) : undefined;
}
