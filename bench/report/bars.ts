import type { Measured, RaceName } from '../scenarios/scenario.js';
import { callsOf, type Figure, ratioOf, seriesOf, spreadOf } from './summary.js';
import type { VariantName } from '../app/variant.js';

/** Something that the library has promised itself, and what a run says of it. */
export interface Bar {
  name: string;
  value: number;
  relation: '<=' | '>=' | '=';
  limit: number;
  met: boolean;
}

type Judged = Omit<Bar, 'met'>;

/** What was not measured is not judged; what was missed is called missed. */
export function judge(measured: Measured): Bar[] {
  return [...ratios(measured), ...commands(measured), ...memory(measured), ...growth(measured)].map((bar) => ({
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
  ];
}

function memory({ memory: figures }: Measured): Judged[] {
  const bytes = (variant: VariantName) =>
    figures?.find((one) => one.variant === variant && one.step === undefined)?.usedMemory;
  const [ours, theirs] = [bytes('ours'), bytes('hand-wired')];
  if (ours === undefined || theirs === undefined) return [];
  return [
    { name: 'memory: bytes of a session in Redis, ours / hand-wired', value: ours / theirs, relation: '<=', limit: 1 },
  ];
}

/** The most sessions against the fewest: 10 % more, and what the fewest differ by among themselves. */
function growth(measured: Measured): Judged[] {
  const ours = measured.races.total?.filter(({ variant }) => variant === 'ours') ?? [];
  const [fewest, most] = [ours[0], ours.at(-1)];
  if (fewest === undefined || most === undefined) return [];
  return (['cpu', 'p50'] as const).map((figure) => ({
    name:
      `sessions in Redis: ${figure === 'cpu' ? 'CPU' : figure} of an authenticated read, ` +
      `${most.step ?? ''} / ${fewest.step ?? ''} (the limit has the noise in it)`,
    value: ratioOf(most, fewest, figure),
    relation: '<=',
    limit: 1.1 + spreadOf(fewest, figure),
  }));
}
