import { RequestMethod } from '@nestjs/common';
import { pathToRegexp } from 'path-to-regexp';
import type { RoutePattern } from '../session-auth.options.js';
import { pathOf, type SessionRequest } from './session-request.js';

/** Whether a request is for one of some routes. */
export type RouteMatcher = (request: SessionRequest) => boolean;

/**
 * Matches routes by the patterns that Nest's `exclude()` takes. A pattern matches with the global prefix before it, as
 * a controller's route has it, and without, as a static file's path has it.
 */
export function routeMatcher(patterns: readonly RoutePattern[], globalPrefix: string): RouteMatcher {
  const prefix = globalPrefix.replace(/^\/+|\/+$/g, '');
  const routes = patterns.map((pattern) => {
    const { path, method } = typeof pattern === 'string' ? { path: pattern, method: RequestMethod.ALL } : pattern;
    const bare = `/${path.replace(/^\/+/, '')}`;
    const paths = prefix === '' ? [bare] : [bare, `/${prefix}${bare}`];
    return {
      regexp: pathToRegexp(paths).regexp,
      method: method === RequestMethod.ALL ? undefined : RequestMethod[method],
    };
  });
  return (request) =>
    routes.length > 0 &&
    routes.some(
      ({ regexp, method }) => (method === undefined || method === request.method) && regexp.test(pathOf(request)),
    );
}
