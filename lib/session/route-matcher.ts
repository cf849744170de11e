import { RequestMethod } from '@nestjs/common';
import { pathToRegexp } from 'path-to-regexp';
import type { RoutePattern } from '../session-auth.options.js';
import { pathOf } from './session-cookies.js';
import type { SessionRequest } from './session.types.js';

/** Whether a request is for one of some routes. */
export type RouteMatcher = (request: SessionRequest) => boolean;

/**
 * Matches routes by the patterns Nest's `exclude()` takes. A pattern counts below the global prefix, as a controller's
 * route does, and as it stands, as a static file does.
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
