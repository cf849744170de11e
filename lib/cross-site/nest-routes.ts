import { Inject, Injectable, RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, MODULE_PATH, PATH_METADATA } from '@nestjs/common/constants.js';
import { ApplicationConfig, MetadataScanner, ModulesContainer } from '@nestjs/core';
import { crossSiteMarks } from '../access/allow-cross-site.js';
import { routeMatcher, type RouteMatcher } from '../http/route-matcher.js';
import type { SessionRequest } from '../http/session-request.js';
import { versionSegments } from '../http/version-segments.js';

/** `GraphQLModule` provides its options by this. `@nestjs/graphql` is an optional peer. */
const GRAPHQL_OPTIONS = 'GqlModuleOptions';
/** Its decorators for queries and mutations write this down. */
const GRAPHQL_FIELD = 'graphql:resolver_type';

/** Where a pattern begins to be more than a text. */
const PATTERN = /[:*?+!(){}[\]\\]/;

/** What the application does with a request, as far as that can be told before Nest has routed it. */
export interface FoundRoute {
  readonly name: string;
  /** A guard before the route has to find out whether it is open to other sites. */
  readonly mayBeOpen: boolean;
  /** It is the endpoint of GraphQL, whose clients expect the errors in a place of their own. */
  readonly isGraphQL?: boolean;
}

interface Route extends FoundRoute {
  readonly path: string;
  readonly matches: RouteMatcher;
}

const NONE: FoundRoute = { name: 'What the application has mounted besides its controllers', mayBeOpen: false };

/**
 * The application's routes, each with the global prefix and a version before its path, and without. So more may match
 * than Nest would find, and never less. But a path of a router beside Nest's is no open one because it ends alike.
 */
@Injectable()
export class NestRoutes {
  #routes: Route[] | undefined;
  #hasOpenFields: boolean | undefined;

  constructor(
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /** The route of a request. Of several, the one with the longest path gives the name, and each may be the open one. */
  find(request: SessionRequest): FoundRoute {
    this.#routes ??= [...this.#ofControllers(), ...this.#ofGraphQL()];
    const found = this.#routes.filter(({ matches }) => matches(request));
    const [longest = NONE] = found.sort((a, b) => b.path.length - a.path.length);
    return { ...longest, mayBeOpen: found.some(({ mayBeOpen }) => mayBeOpen) };
  }

  /** Whether any query or mutation is open to other sites. */
  get hasOpenFields(): boolean {
    return (this.#hasOpenFields ??= [...this.modules.values()].some(({ providers }) =>
      [...providers.values()].some(({ metatype }) => typeof metatype === 'function' && hasOpenField(metatype as Type)),
    ));
  }

  #ofControllers(): Route[] {
    const versions = versionSegments(this.config, this.modules);
    return [...this.modules.values()].flatMap((module) => {
      const controllers = [...module.controllers.values()].map(({ metatype }) => metatype);
      const start = this.#pathOfModule(module.metatype);
      return controllers.flatMap((one) =>
        typeof one === 'function' ? this.#routesOf(one as Type, start, versions) : [],
      );
    });
  }

  #routesOf(controller: Type, start: string, versions: readonly string[]): Route[] {
    return methodsOf(controller).flatMap(([name, handler]) => {
      const method = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
      if (method === undefined) {
        return [];
      }
      const { isOpen } = crossSiteMarks(controller, handler);
      return pathsOf(controller).flatMap((middle) =>
        pathsOf(handler).map((end) => {
          const path = `${start}${middle}${end}` || '/';
          const matches = this.#matcherOf(path, method, versions);
          return { name: `${controller.name}.${name}`, path, matches, mayBeOpen: isOpen };
        }),
      );
    });
  }

  /** What `RouterModule` puts before the paths of a module's controllers. */
  #pathOfModule(module: Type): string {
    const [path = ''] = [MODULE_PATH + this.modules.applicationId, MODULE_PATH].flatMap(
      (key) => (Reflect.getMetadata(key, module) as string | undefined) ?? [],
    );
    return withSlashBefore(path);
  }

  #matcherOf(path: string, method: RequestMethod, versions: readonly string[] = []): RouteMatcher {
    const prefix = this.config.getGlobalPrefix();
    try {
      return routeMatcher([{ path, method }], prefix, versions);
    } catch {
      // Nest still takes patterns of old, such as `*`, and Fastify has its own. All that begins alike may be meant.
      const start = path.slice(0, path.search(PATTERN)).replace(/[^/]*$/, '');
      return routeMatcher([{ path: `${start}{*any}`, method }], prefix, versions);
    }
  }

  /** The path does not tell which fields are asked for. It may be open where any field is. */
  #ofGraphQL(): Route[] {
    const modules = [...this.modules.values()];
    const mayBeOpen = this.hasOpenFields;
    const options = modules.flatMap(({ providers }) => providers.get(GRAPHQL_OPTIONS) ?? []);
    return options.map(({ instance }) => {
      const { path = '/graphql' } = (instance ?? {}) as { path?: string };
      return { name: 'GraphQL', path, matches: this.#matcherOf(path, RequestMethod.ALL), mayBeOpen, isGraphQL: true };
    });
  }
}

function hasOpenField(provider: Type): boolean {
  return methodsOf(provider).some(
    ([, method]) => Reflect.hasMetadata(GRAPHQL_FIELD, method) && crossSiteMarks(provider, method).isOpen,
  );
}

/** The methods of a class, inherited ones included. */
function methodsOf({ prototype }: Type): [name: string, method: object][] {
  const names = prototype ? new MetadataScanner().getAllMethodNames(prototype as object) : [];
  return names.map((name) => [name, (prototype as Record<string, object>)[name] ?? {}]);
}

/** The paths of a controller or of a method, each with a slash before it and none behind. */
function pathsOf(target: object): string[] {
  const paths = [Reflect.getMetadata(PATH_METADATA, target) ?? ''].flat() as string[];
  return paths.map(withSlashBefore);
}

function withSlashBefore(path: string): string {
  return path.replace(/^\/*/, '/').replace(/\/+$/, '');
}
