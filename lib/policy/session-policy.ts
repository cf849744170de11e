import { Inject, Injectable } from '@nestjs/common';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { describePolicy } from './describe-policy.js';
import type { SessionPolicyDescription } from './policy-description.js';
import { policyMarkdown } from './policy-markdown.js';

/**
 * The rules that the application's sessions follow, in print: limits, cookie, renewal, parallel sessions, defences. OWASP
 * ASVS 7.1.1 to 7.1.3 ask for them in writing. They are those of the options, defaults filled in. What the application's
 * code decides (`remember`, identity providers) is named as left to be added. No secret and no address of a server is in
 * it.
 *
 * @example
 * ```ts
 * // node print-policy.js > docs/session-policy.md
 * const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
 * console.log(app.get(SessionPolicy).describe('markdown'));
 * await app.close();
 * ```
 */
@Injectable()
export class SessionPolicy {
  /** @internal */
  constructor(@Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions) {}

  /** The policy as plain data, which `JSON.stringify` keeps whole. */
  describe(): SessionPolicyDescription;
  /** The policy as a page of Markdown. */
  describe(format: 'markdown'): string;
  describe(format?: 'markdown'): SessionPolicyDescription | string {
    const policy = describePolicy(this.options);
    return format === 'markdown' ? policyMarkdown(policy) : policy;
  }
}
