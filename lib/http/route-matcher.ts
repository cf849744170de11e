import { RequestMethod } from '@nestjs/common';
import { pathToRegexp } from 'path-to-regexp';
import type { RoutePattern } from '../session-auth.options.js';
import { pathOf, type SessionRequest } from './session-request.js';

/** Whether a request is for one of some routes. */
export type RouteMatcher = (request: SessionRequest) => boolean;

/**
 * Matches routes by the patterns that Nest's `exclude()` takes. A pattern matches with the global prefix and a version
 * before it, as a controller's route has them, and without, as a static file's path has it.
 *
 * @param versions what URI versioning puts before paths, such as `v1`
 */
export function routeMatcher(
  patterns: readonly RoutePattern[],
  globalPrefix: string,
  versions: readonly string[],
): RouteMatcher {
  const prefix = globalPrefix.replace(/^\/+|\/+$/g, '');
  const starts = ['', ...(prefix === '' ? [] : [`/${prefix}`])].flatMap((start) => [
    start,
    ...versions.map((version) => `${start}/${literally(version)}`),
  ]);
  const routes = patterns.map((pattern) => {
    const { path, method } = typeof pattern === 'string' ? { path: pattern, method: RequestMethod.ALL } : pattern;
    const bare = `/${path.replace(/^\/+/, '')}`;
    return {
      // `/api`, and not `/api/`: that matches with a slash behind it, too.
      regexp: pathToRegexp(starts.map((start) => (bare === '/' && start !== '' ? start : `${start}${bare}`))).regexp,
      method: method === RequestMethod.ALL ? undefined : RequestMethod[method],
    };
  });
  return (request) =>
    routes.length > 0 &&
    routes.some(
      ({ regexp, method }) =>
        (method === undefined || method === request.method) && regexp.test(pathInApplication(request)),
    );
}

/** The path without that at which another Express application has mounted this one. */
function pathInApplication(request: SessionRequest): string {
  const path = pathOf(request);
  const mount = request.app?.path() ?? '';
  return path.startsWith(`${mount}/`) ? path.slice(mount.length) : path;
}

/** Text as a part of a pattern that matches nothing else. */
function literally(text: string): string {
  return text.replace(/[{}()[\]+?!:*\\]/g, '\\$&');
}
