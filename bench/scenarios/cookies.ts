import { createHmac } from 'node:crypto';
import { anonymousReads, CONNECTIONS, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** The name of the library's cookie where NODE_ENV is `development`. */
const NAME = 'sid';

/** A value that only its signature tells from a genuine one. */
function forged(index: number): string {
  const id = `${String(index).padStart(28, 'A')}.${'b'.repeat(43)}`;
  const signature = createHmac('sha256', 'of somebody else').update(id).digest('base64').replace(/=+$/, '');
  return encodeURIComponent(`s:${id}.${signature}`);
}

const cookies = (count: number, pair: (index: number) => string): string => times(count, pair).join('; ');

/** Cookie headers of some 15 kB, which is nearly all that Node takes, and none. */
const HEADERS: Record<string, string | undefined> = {
  'no cookie': undefined,
  '2,500 malformed ones': `${NAME}=%;`.repeat(2_500),
  '110 forged ones': cookies(110, (index) => `${NAME}=${forged(index)}`),
  '16 of 900 bytes': cookies(16, (index) => `${NAME}=s%3A${index}${'x'.repeat(900)}`),
  'one of 15 kB': `${NAME}=${'x'.repeat(15_000)}`,
  '150 others': cookies(150, (index) => `other${index}=${'x'.repeat(90)}`),
};

/** The open page with Cookie headers that are made to cost much. What they cost `bare` is Node's own share of it. */
export const hostileCookies: Scenario = async (stage, { growthPace }) => {
  const contestants: Contestant[] = [];
  for (const actor of [await stage.actor('bare'), await stage.actor('ours')]) {
    for (const [step, cookie] of Object.entries(HEADERS)) {
      const load = (amount: number) => {
        const reads = anonymousReads({ amount, connections: CONNECTIONS });
        return { ...reads, requests: reads.requests.map(() => (cookie === undefined ? {} : { headers: { cookie } })) };
      };
      contestants.push({ actor, step, load });
    }
  }
  return { races: { cookies: await race(contestants, growthPace) } };
};
