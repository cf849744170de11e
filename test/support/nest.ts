import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string };

/** The Nest that the tests run on: 12, or what `NEST=11 .ci/run` has put in its place. */
export const NEST = Number.parseInt(version, 10);

/** For refusals of messages over `ws`. Nest 11's filter sends clients of `ws` nothing: it emits an event on its own end. */
export const itRefusesOverWs = NEST < 12 ? it.skip : it;
