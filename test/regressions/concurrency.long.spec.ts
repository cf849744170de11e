import { Body, Controller, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { Request } from 'express';
import fc from 'fast-check';
import { SESSION_STORE } from '../../lib/index.js';
import type { User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { DEPLOYMENTS } from '../support/redis-deployment.js';
import { data, promised } from './routes.js';
import { type Application, gate } from './scenario.js';
import { broken, type Found, FRESH, type Observed, type Operation } from './session-model.js';
import { stage } from './stage.js';

const RUNS = 300;
/** On a cluster, for the time they take: the scripts are those of one server, and what is new is where keys lie. */
const FEWER = 100;

/** Each operation as code for express-session and Passport has it; it has loaded its session when it comes to the gate. */
@Controller('model')
class ModelController {
  constructor(private readonly gates: Gates) {}

  @Post(':gate/set')
  @HttpCode(200)
  async set(@Req() request: Request, @Param('gate') gate: string, @Body() { key, value }: Record<string, string>) {
    await this.gates.named(gate).pass();
    data(request)[key!] = value;
  }

  @Post(':gate/delete')
  @HttpCode(200)
  async delete(@Req() request: Request, @Param('gate') gate: string, @Body() { key }: Record<string, string>) {
    await this.gates.named(gate).pass();
    const had = key! in data(request);
    Reflect.deleteProperty(request.session, key!);
    return { had };
  }

  @Post(':gate/login')
  @HttpCode(200)
  async logIn(@Req() request: Request, @Param('gate') gate: string, @Body() { user }: Record<string, string>) {
    await this.gates.named(gate).pass();
    await promised((done) => request.logIn({ id: user, name: user }, done));
  }

  @Post(':gate/logout')
  @HttpCode(200)
  async logOut(@Req() request: Request, @Param('gate') gate: string) {
    await this.gates.named(gate).pass();
    await promised((done) => request.logOut(done));
  }

  @Post(':gate/regenerate')
  @HttpCode(200)
  async regenerate(@Req() request: Request, @Param('gate') gate: string, @Body() { value }: Record<string, string>) {
    await this.gates.named(gate).pass();
    await promised((done) => request.session.regenerate(done));
    data(request)[FRESH] = value;
  }

  @Get('state')
  state(@Req() request: Request) {
    const { cookie: _cookie, passport: _passport, ...rest } = data(request);
    return { id: request.sessionID, user: (request.user as User | undefined)?.name ?? null, data: rest };
  }
}

/** A request that starts at one tick and whose handler goes on at another; what falls on one tick runs at once. */
interface Step {
  readonly operation: Operation;
  readonly start: number;
  readonly wait: number;
}

const key = fc.constantFrom('a', 'b');
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('set' as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('login' as const), user: fc.constantFrom('Ada', 'Grace') }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'logout' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'regenerate' as const }) },
);
const step: fc.Arbitrary<Step> = fc.record({ operation, start: fc.nat(4), wait: fc.nat(3) });
/** What the browser has done before: nothing, or opened a session of nobody's or of a user's. */
const beginning: fc.Arbitrary<Step[]> = fc
  .constantFrom<Operation | undefined>(undefined, { kind: 'set', key: 'a' }, { kind: 'login', user: 'Ada' })
  .map((first) => (first ? [{ operation: first, start: -1, wait: 0 }] : []));
const program = fc
  .tuple(beginning, fc.array(step, { minLength: 2, maxLength: 8 }))
  .map(([first, rest]) => [...first, ...rest]);

let requests = 0;

/** Plays a program in one browser, and tells what each request met and what is left when all are answered. */
async function play(application: Application, browser: Browser, steps: readonly Step[]) {
  let moment = 0;
  browser.cookies.clear();
  const history: Observed[] = [];
  const cookies = new Map<string, string>();

  /** Sends a request. Resolves with what has it go on, when it has come to its gate. */
  const begin = async ({ operation }: Step) => {
    const name = `${++requests}`;
    const value = `value ${name}`;
    const sent = ++moment;
    const presented = handleOf(browser.cookies.get('sid'));
    const response = browser.post(`/model/${name}/${operation.kind}`, { json: { ...operation, value } });
    await Promise.race([gate(application, name).reached, response]);
    return async () => {
      const opened = ++moment;
      gate(application, name).open();
      const { status, text, setCookies } = await response;
      const issued = setCookies.map((cookie) => /^sid=([^;]+)/.exec(cookie)?.[1]).find((one) => one !== undefined);
      if (issued !== undefined) cookies.set(handleOf(issued)!, issued);
      const had = operation.kind === 'delete' && status === 200 && (JSON.parse(text) as { had: boolean }).had;
      const answered = ++moment;
      history.push({ operation, value, presented, issued: handleOf(issued), status, had, sent, opened, answered });
    };
  };

  const running = new Map<Step, () => Promise<void>>();
  for (let tick = -1; tick <= 7; tick++) {
    const due = [...running].filter(([{ start, wait }]) => start + wait === tick);
    await Promise.all([
      ...due.map(([, goOn]) => goOn()),
      ...steps
        .filter(({ start }) => start === tick)
        .map(async (one) => {
          const goOn = await begin(one);
          if (one.wait === 0) await goOn();
          else running.set(one, goOn);
        }),
    ]);
  }
  return { history, found: await states(browser, cookies) };
}

async function states(browser: Browser, cookies: ReadonlyMap<string, string>): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  for (const [handle, cookie] of cookies) {
    const response = await browser.get('/model/state', { headers: { cookie: `sid=${cookie}` } });
    const { id, user, data } = response.json<{ id: string } & Omit<Found, 'alive'>>();
    found.set(handle, { alive: id.split('.')[0] === handle, user, data });
  }
  return found;
}

/** What names the session in a cookie: no secret of either stack. */
function handleOf(cookie: string | undefined): string | undefined {
  return cookie === undefined ? undefined : decodeURIComponent(cookie).slice('s:'.length).split('.')[0];
}

function holds(application: Application, browser: Browser, stored: () => Promise<string[]>) {
  return fc.asyncProperty(program, async (steps) => {
    const { history, found } = await play(application, browser, steps);
    const left = (await stored()).filter((handle) => !before.has(handle));
    for (const handle of left) before.add(handle);
    expect(history).toHaveLength(steps.length);
    expect(broken(history, found)).toEqual([]);
    const alive = [...found].flatMap(([handle, state]) => (state.alive ? [handle] : []));
    expect(left.sort()).toEqual(alive.sort());
  });
}

/** Sessions that runs before this one left behind. */
const before = new Set<string>();

describePlatforms((platform) => {
  describe.each(placesOn(platform, DEPLOYMENTS))(
    'whatever requests of one browser run at once, with sessions in %s,',
    (kind) => {
      const on = stage(platform, kind);
      const controllers = [ModelController];

      on.control?.('control: sessions come back, or writes are lost', async () => {
        const application = await on.handWired({ controllers });
        const browser = on.closing(application.browser());
        const stored = async () => (await on.sessions()).map((one) => one.slice('sess:'.length));

        const { failed } = await fc.check(holds(application, browser, stored), { numRuns: RUNS, endOnFailure: true });
        expect(failed).toBe(true);
      });

      it.each(on.single ? ['redis', 'memory'] : ['cluster'])(
        'no write is lost, no ended session comes back, nobody is who they are not (%s)',
        async (where) => {
          const options = where === 'memory' ? { redis: undefined } : {};
          const application = await on.here({ controllers, options });
          const browser = on.closing(application.browser());
          const store = application.app.get<{ ids(): Promise<string[]> }>(SESSION_STORE);

          // A failure prints its seed, and the program at its shortest: `{ seed, path }` here plays it again.
          await fc.assert(
            holds(application, browser, () => store.ids()),
            { numRuns: where === 'cluster' ? FEWER : RUNS },
          );
        },
        60_000,
      );
    },
  );
});
