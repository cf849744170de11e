import type { INestApplicationContext } from '@nestjs/common';
import type { DocumentBuilder } from '@nestjs/swagger';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { isProduction } from '../validation/checks.js';
import { resolveCookie } from '../validation/cookie.js';

/** The security scheme's name in the document. */
export const SESSION_SCHEME = 'session';

/**
 * Puts the session cookie into a document, as the security scheme `session` that `@ApiSession()` refers to.
 *
 * @param app where the cookie has a name of its own (option `cookie.name`). Default: the module's default name
 * @returns the builder
 *
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * const config = addSessionAuth(new DocumentBuilder().setTitle('Shop'), app).build();
 * SwaggerModule.setup('api', app, () => SwaggerModule.createDocument(app, config));
 * ```
 */
export function addSessionAuth(builder: DocumentBuilder, app?: INestApplicationContext): DocumentBuilder {
  const { name } =
    app?.get<ResolvedSessionAuthOptions>(SESSION_AUTH_OPTIONS, { strict: false }).cookie ??
    resolveCookie({}, isProduction(process.env['NODE_ENV']));
  const description = 'The session cookie, which the browser has from the login.';
  return builder.addSecurity(SESSION_SCHEME, { type: 'apiKey', in: 'cookie', name, description });
}
