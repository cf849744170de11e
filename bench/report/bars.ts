import type { MemorySubject } from '../scenarios/memory.js';
import type { Measured, RaceName } from '../scenarios/scenario.js';
import { callsOf, type Figure, memoryRatio, ratioOf, seriesOf, spreadOf } from './summary.js';
import type { VariantName } from '../app/variant.js';

/** A promise of the library, and the value that a run has measured. */
export interface Bar {
  name: string;
  value: number;
  relation: '<=' | '>=' | '=';
  limit: number;
  met: boolean;
}

type Judged = Omit<Bar, 'met'>;

/** Judges what was measured. */
export function judge(measured: Measured): Bar[] {
  return [
    ...ratios(measured),
    ...commands(measured),
    ...memory(measured),
    ...growth(measured),
    ...hostileCookies(measured),
    ...scripts(measured),
    ...outages(measured),
    ...connections(measured),
  ].map((bar) => ({
    ...bar,
    met: isMet(bar),
  }));
}

function isMet({ value, relation, limit }: Judged): boolean {
  if (relation === '=') return Math.abs(value - limit) < 0.005;
  return relation === '<=' ? value <= limit : value >= limit;
}

function ratios(measured: Measured): Judged[] {
  const bar = (
    name: string,
    [race, figure, other]: [RaceName, Figure, VariantName],
    relation: '<=' | '>=',
    limit: number,
  ): Judged[] => {
    const [ours, theirs] = [seriesOf(measured, race, 'ours'), seriesOf(measured, race, other)];
    return ours && theirs ? [{ name, value: ratioOf(ours, theirs, figure), relation, limit }] : [];
  };
  return [
    ...bar('authenticated read: CPU, ours / hand-wired', ['read', 'cpu', 'hand-wired'], '<=', 0.7),
    ...bar('authenticated read: CPU, ours / limit', ['read', 'cpu', 'limit'], '<=', 1.35),
    ...bar(
      'authenticated read: requests per second, ours / hand-wired',
      ['read', 'throughput', 'hand-wired'],
      '>=',
      1.4,
    ),
    ...bar(
      'authenticated read: p50 with 1 ms each way, ours / hand-wired',
      ['delayed', 'p50', 'hand-wired'],
      '<=',
      0.6,
    ),
    ...bar('anonymous read: CPU, ours / bare', ['anonymous', 'cpu', 'bare'], '<=', 1.25),
    ...bar('login: CPU, ours / hand-wired', ['login', 'cpu', 'hand-wired'], '<=', 1),
    ...bar('Fastify, authenticated read: CPU, ours / hand-wired', ['fastify-read', 'cpu', 'hand-wired'], '<=', 0.85),
    ...bar('Fastify, authenticated read: CPU, ours / limit', ['fastify-read', 'cpu', 'limit'], '<=', 1.4),
    ...bar('Fastify, anonymous read: CPU, ours / bare', ['fastify-anonymous', 'cpu', 'bare'], '<=', 1.25),
    ...bar('Fastify, authenticated read: CPU, ours / Better Auth', ['better-auth', 'cpu', 'better-auth'], '<=', 1),
  ];
}

function commands(measured: Measured): Judged[] {
  const bar = (name: string, race: RaceName, limit: number): Judged[] => {
    const ours = seriesOf(measured, race, 'ours');
    return ours ? [{ name, value: callsOf(ours), relation: '=', limit }] : [];
  };
  return [
    ...bar('authenticated read: Redis commands, ours', 'read', 1),
    ...bar('anonymous read: Redis commands, ours', 'anonymous', 0),
    ...bar('Fastify, authenticated read: Redis commands, ours', 'fastify-read', 1),
    ...bar('Fastify, anonymous read: Redis commands, ours', 'fastify-anonymous', 0),
  ];
}

function memory({ memory: figures = [] }: Measured): Judged[] {
  const bar = (name: string, subject: MemorySubject, limit: number, step?: string): Judged[] => {
    const value = memoryRatio(figures, [subject, 'hand-wired'], step);
    return value === undefined ? [] : [{ name: `memory per user: ${name}`, value, relation: '<=', limit }];
  };
  return [
    ...bar('ours / hand-wired', 'ours', 2.1),
    ...bar('ours, device: false / hand-wired', 'ours, device: false', 1.6),
    ...bar('ours / hand-wired, 2 kB of data', 'ours', 1.1, '2 kB'),
  ];
}

/** The most sessions / the fewest. The limit is 10 % more, plus the spread of the rounds with the fewest. */
function growth(measured: Measured): Judged[] {
  const ours = measured.races.total?.filter(({ variant }) => variant === 'ours') ?? [];
  const [fewest, most] = [ours[0], ours.at(-1)];
  if (fewest === undefined || most === undefined) return [];
  return (['cpu', 'p50'] as const).map((figure) => ({
    name:
      `sessions in Redis: ${figure === 'cpu' ? 'CPU' : figure} of an authenticated read, ` +
      `${most.step ?? ''} / ${fewest.step ?? ''} (the limit includes the noise)`,
    value: ratioOf(most, fewest, figure),
    relation: '<=',
    limit: 1.1 + spreadOf(fewest, figure),
  }));
}

/** The costliest Cookie header / none. */
function hostileCookies(measured: Measured): Judged[] {
  const ours = measured.races.cookies?.filter(({ variant }) => variant === 'ours') ?? [];
  const [none, ...hostile] = ours;
  if (none === undefined) return [];
  const value = Math.max(...hostile.map((one) => ratioOf(one, none, 'cpu')));
  return [{ name: 'hostile Cookie header: CPU of an anonymous read / without', value, relation: '<=', limit: 3 }];
}

/** Of all operations with sessions of one size. */
function scripts({ scripts: figures = [] }: Measured): Judged[] {
  const steps = [...new Set(figures.map(({ step }) => step))];
  return steps.map((step) => ({
    name: `longest script, ms: sessions with ${step} of data`,
    value: Math.max(...figures.filter((one) => one.step === step).map(({ undisturbed }) => undisturbed)),
    relation: '<=',
    limit: 10,
  }));
}

function outages({ outages: figures = [] }: Measured): Judged[] {
  return figures.flatMap(({ kind, redisTimeout, responses, recovery }) => [
    {
      name: `Redis ${kind}: slowest response, ms beyond redisTimeout`,
      value: responses.max - redisTimeout,
      relation: '<=' as const,
      limit: 100,
    },
    {
      name: `Redis ${kind}: ms until requests are served again`,
      value: recovery.max,
      relation: '<=' as const,
      limit: 1_000,
    },
  ]);
}

/** Idle connections cost in proportion to their number, so the limit of fewer is lower. */
function connections({ connections: figures }: Measured): Judged[] {
  if (figures === undefined) return [];
  const { idle, revoked, messages, close, bytes, idleCommands, messageCommands } = figures;
  const bar = (name: string, value: number, limit: number): Judged => ({ name, value, relation: '<=', limit });
  return [
    bar(`open connections: ms from revoke in another process to close, p99 of ${revoked}`, close.p99, 100),
    bar('open connections: bytes of an idle one of ws, beyond bare', bytes.ws.ours - bytes.ws.bare, 2_500),
    bar(
      'open connections: bytes of an idle one of Socket.IO, beyond bare',
      bytes['socket.io'].ours - bytes['socket.io'].bare,
      2_500,
    ),
    bar(`open connections: Redis commands per second for ${idle} idle ones`, idleCommands, (340 * idle) / 10_000),
    bar(`open connections: Redis commands for ${messages} guarded messages in 10 s`, messageCommands, 2),
  ];
}
