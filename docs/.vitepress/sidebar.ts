import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Page {
  text: string;
  link: string;
}

export interface Section {
  text: string;
  items: Page[];
}

export const DOCS = join(import.meta.dirname, '..');

/** The Markdown file of a page, relative to `docs/`. */
export const fileOf = ({ link }: Page) => (link.endsWith('/') ? `${link}index.md` : `${link}.md`).slice(1);

const section = (text: string, pages: [text: string, link: string][]): Section => ({
  text,
  items: pages.map(([page, link]) => ({ text: page, link })).filter((page) => existsSync(join(DOCS, fileOf(page)))),
});

/** The pages in their order. */
export const SIDEBAR = [
  section('Start', [
    ['Introduction', '/introduction'],
    ['Quickstart', '/quickstart'],
    ['Move from hand-wired', '/migration'],
    ['How a request runs', '/how-a-request-runs'],
  ]),
  section('Logins', [
    ['Username and password', '/logins/local'],
    ['OAuth and OpenID Connect', '/logins/oauth'],
    ['Passkeys', '/logins/passkeys'],
    ['Second factor', '/logins/second-factor'],
    ['Remember me', '/logins/remember-me'],
    ['Return to', '/logins/return-to'],
    ['Strategies', '/strategies'],
  ]),
  section('Sessions', [
    ['Guards and decorators', '/guards'],
    ['Your devices', '/devices'],
    ['Lifetimes and rotation', '/lifetimes'],
    ['Step-up', '/step-up'],
    ['Requests from other sites', '/cross-site'],
  ]),
  section('Platforms', [
    ['GraphQL', '/graphql'],
    ['Gateways and SSE', '/connections'],
    ['Fastify', '/fastify'],
    ['SPA on another origin', '/spa'],
    ['Middleware and its order', '/middleware'],
  ]),
  section('In tests and production', [
    ['Testing', '/testing'],
    ['Events and audit', '/events'],
    ['Metrics', '/metrics'],
    ['OpenAPI documents', '/swagger'],
    ['Redis', '/redis'],
    ['Security', '/security/'],
    ['OWASP ASVS 5.0', '/security/asvs'],
    ['NIST SP 800-63B-4', '/security/nist'],
    ['Threat model', '/security/threat-model'],
  ]),
  section('Reference', [
    ['Options', '/options'],
    ['Error codes', '/error-codes'],
    ['Differences from express-session', '/differences'],
    ['Recipes', '/recipes'],
    ['Upgrading', '/upgrading'],
  ]),
  section('Project', [
    ['Design', '/design'],
    ['Trials', '/trials'],
  ]),
].filter(({ items }) => items.length > 0);
