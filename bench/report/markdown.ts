import type { Series } from '../measure/race.js';
import type { Commands } from '../scenarios/commands.js';
import type { ConnectionFigures } from '../scenarios/connections.js';
import type { MemoryFigures, MemorySubject } from '../scenarios/memory.js';
import type { OutageFigures } from '../scenarios/outage.js';
import type { RaceName } from '../scenarios/scenario.js';
import type { ScriptFigures } from '../scenarios/script-times.js';
import type { Bar } from './bars.js';
import type { Percentiles } from '../measure/statistics.js';
import type { Checkout, Results } from './results.js';
import { callsOf, figureOf, memoryRatio, participants, ratioOf, spreadOf, sum } from './summary.js';

const TITLES: Record<RaceName, string> = {
  read: 'Authenticated read',
  anonymous: 'Anonymous read',
  login: 'Login',
  logout: 'Logout',
  cookies: 'Anonymous read with hostile Cookie headers',
  delayed: 'Authenticated read, 1 ms each way to Redis, 2 connections',
  'delayed-busy': 'Authenticated read, 1 ms each way to Redis, 20 connections',
  size: 'Authenticated read by size of the session',
  'per-user-read': 'Authenticated read by sessions per user',
  'per-user-login': 'Login by sessions per user',
  'per-user-logout': 'Logout by sessions per user',
  total: 'Authenticated read by sessions in Redis',
  'total-login': 'Login by sessions in Redis',
  'total-logout': 'Logout by sessions in Redis',
  'clients-read': 'Authenticated read by client of Redis',
  'clients-login': 'Login by client of Redis',
  metrics: 'Authenticated read with metrics that nobody hears',
  'read-cache': 'Authenticated read with a cache in the process',
  'read-cache-delayed': 'Authenticated read with a cache in the process, 1 ms each way to Redis, 2 connections',
  'fastify-read': 'Authenticated read on Fastify',
  'fastify-anonymous': 'Anonymous read on Fastify',
  'fastify-login': 'Login on Fastify',
  'better-auth': 'Authenticated read on Fastify, beside Better Auth',
};

/** A run's results as a markdown page. */
export function markdown(results: Results): string {
  const {
    circumstances: at,
    races,
    commands,
    memory,
    roundTrip,
    staleness,
    scripts,
    outages,
    connections,
    bars,
  } = results;
  return [
    `${at.date}, ${commitOf(at)}, Node ${at.node}, ` +
      `Redis ${at.redis}, ${at.processors} x ${at.processor}, \`${at.commandLine}\`, ${at.took} s, load before ${at.load.toFixed(1)}`,
    ...(at.against === undefined ? [] : [`"before" is the build in ${at.against.folder}, ${commitOf(at.against)}.`]),
    ...Object.entries(races).map(([race, series]) => `## ${TITLES[race as RaceName]}\n\n${raceTable(series)}`),
    ...(roundTrip === undefined ? [] : [`A PING over the slow line took ${roundTrip.toFixed(1)} ms.`]),
    ...(staleness === undefined
      ? []
      : [
          `A session logged out elsewhere was served from the cache for ${staleness.connected.toFixed(1)} ms at most, ` +
            `and for ${staleness.forgotten.toFixed(0)} ms over a connection that the network had dropped silently.`,
        ]),
    `## Redis commands\n\n${commandTable(commands)}`,
    ...(memory === undefined
      ? []
      : [
          `## Bytes per user in Redis, with one session each (${memory[0]?.users ?? 0} users)\n\n${memoryTable(memory)}`,
        ]),
    ...(scripts === undefined ? [] : [`## Scripts of a user with very many sessions\n\n${scriptTable(scripts)}`]),
    ...(outages === undefined ? [] : [`## Outages of Redis\n\n${outageTable(outages)}`]),
    ...(connections === undefined ? [] : [`## Open connections\n\n${connectionTable(connections)}`]),
    `## Bars\n\n${barTable(bars)}`,
  ].join('\n\n');
}

function commitOf({ commit, modified }: Checkout): string {
  return `commit ${commit.slice(0, 7)}${modified ? ' with changes' : ''}`;
}

function raceTable(series: Series[]): string {
  const rivals = (['hand-wired', 'better-auth', 'before'] as const).filter((rival) =>
    series.some(({ variant }) => variant === rival),
  );
  const rows = series.map((one) => {
    const ratios = rivals.map((name) => {
      const rival = series.find(({ variant, step }) => variant === name && step === one.step);
      return rival === undefined ? '' : ratioOf(one, rival, 'cpu').toFixed(2);
    });
    return [
      one.step === undefined ? one.variant : `${one.variant}, ${one.step}`,
      figureOf(one, 'cpu').toFixed(0),
      `${(spreadOf(one, 'cpu') * 100).toFixed(1)} %`,
      ...ratios,
      figureOf(one, 'throughput').toFixed(0),
      figureOf(one, 'p50').toFixed(2),
      figureOf(one, 'p99').toFixed(2),
      callsOf(one).toFixed(2),
      figureOf(one, 'redisCpu').toFixed(0),
    ];
  });
  const over = rivals.map((rival) => `/ ${rival}`);
  return table(['', 'CPU µs', '±', ...over, 'req/s', 'p50 ms', 'p99 ms', 'Redis calls', 'Redis CPU µs'], rows);
}

function commandTable(commands: Commands[]): string {
  const operations = ['read', 'anonymous', 'login', 'logout'] as const;
  const cell = (variant: string, operation: string): string => {
    const found = commands.find((one) => one.variant === variant && one.operation === operation);
    const inside = listed(found?.inside ?? {});
    return `${listed(found?.sent ?? {}) || 'none'}${inside && ` (runs ${inside})`}`;
  };
  return table(
    ['', ...operations],
    participants(commands).map((variant) => [variant, ...operations.map((operation) => cell(variant, operation))]),
  );
}

function listed(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([command, count]) => `${Number(count.toFixed(2))} ${command.toUpperCase()}`)
    .join(', ');
}

function memoryTable(memory: MemoryFigures[]): string {
  const ratio = (one: MemorySubject, other: MemorySubject, step?: string): string =>
    one === other ? '' : (memoryRatio(memory, [one, other], step)?.toFixed(2) ?? '');
  const rows = memory.map(({ subject, step, usedMemory, byKind }) => [
    step === undefined ? subject : `${subject}, ${step}`,
    usedMemory.toFixed(0),
    ratio(subject, 'hand-wired', step),
    ratio(subject, 'hand-wired + index', step),
    sum(Object.values(byKind).map(({ bytes }) => bytes)).toFixed(0),
    Object.entries(byKind)
      .filter(([, { keys }]) => keys > 0)
      .map(
        ([kind, { bytes, length }]) =>
          kind + ` ${bytes.toFixed(0)}` + (length > 0 ? ` (text ${length.toFixed(0)})` : ''),
      )
      .join(', '),
  ]);
  return table(['', 'used_memory', '/ hand-wired', '/ hand-wired + index', 'MEMORY USAGE', 'of which'], rows);
}

function scriptTable(scripts: ScriptFigures[]): string {
  const rows = scripts.map(({ operation, step, sessions, calls, ...times }) => [
    `${operation}, ${step}`,
    `${sessions}`,
    `${calls}`,
    ...[times.p50, times.p99, times.max, times.undisturbed].map((ms) => ms.toFixed(2)),
  ]);
  return table(['', 'sessions', 'scripts', 'p50 ms', 'p99 ms', 'max ms', 'undisturbed ms'], rows);
}

function outageTable(outages: OutageFigures[]): string {
  const rows = outages.flatMap(({ kind, redisTimeout, ...measured }) =>
    [
      [`Redis ${kind}: response (redisTimeout ${redisTimeout} ms)`, measured.responses] as const,
      [`Redis ${kind}: recovery`, measured.recovery] as const,
    ].map(([what, { count, p50, p99, max }]) => [what, `${count}`, ...[p50, p99, max].map((ms) => ms.toFixed(1))]),
  );
  return table(['', 'number', 'p50 ms', 'p99 ms', 'max ms'], rows);
}

function connectionTable({ close, closeAll, bytes, ...figures }: ConnectionFigures): string {
  const { revoked, ofOneUser, idle, messages, idleCommands, messageCommands } = figures;
  const ms = ({ p50, p99, max }: Percentiles) => `${p50.toFixed(1)}, ${p99.toFixed(1)}, ${max.toFixed(1)}`;
  const rows = [
    [`revoke of one of ${revoked} sessions in another process, to close: p50, p99, max ms`, ms(close)],
    [`revokeAll of ${ofOneUser} sessions in another process, to close: p50, p99, max ms`, ms(closeAll)],
    ...Object.entries(bytes).map(([protocol, { bare, ours }]) => [
      `bytes of an idle connection of ${protocol}: bare, ours, the difference`,
      [bare, ours, ours - bare].map((one) => one.toFixed(0)).join(', '),
    ]),
    [`Redis commands per second for ${idle} idle connections`, idleCommands.toFixed(1)],
    [`Redis commands for ${messages} guarded messages in 10 s`, messageCommands.toFixed(0)],
  ];
  return table(['', 'value'], rows);
}

function barTable(bars: Bar[]): string {
  const rows = bars.map(({ name, value, relation, limit, met }) => [
    name,
    value.toFixed(2),
    `${relation} ${limit.toFixed(2)}`,
    met ? 'met' : '**missed**',
  ]);
  return table(['', 'value', 'bar', ''], rows);
}

/** A markdown table that is aligned as plain text, too: text to the left, numbers to the right. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const isText = head.map((_, column) => column === 0 || rows.some((row) => /[a-z*]/i.test(row[column] ?? '')));
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, column) => (isText[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, column) => (isText[column] ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
