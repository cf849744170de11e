import { registryCalls } from './checks.js';
import type { Outcome } from './run.js';

/** What came of a run, to be printed. */
export function totals(title: string, outcome: Outcome): string {
  const { ops, sockets, episodes, excused, errors, orphans, times, longestStall, failures } = outcome;
  const rounded = episodes.map(
    ({ name, recovered }) => `${name} (${recovered.map((ms) => ms.toFixed()).join(', ')} ms)`,
  );
  const alone = times.filter(({ what }) => registryCalls(what) === 0);
  const calling = times.filter(({ what }) => registryCalls(what) > 0);
  return [
    title,
    `  requests  ${ops.length}: ${listed(counted(ops.map(({ kind, status }) => `${kind} ${status}`)))}`,
    `  sockets   ${sockets.length}: ${listed(counted(sockets.map(endOf)))}`,
    `  faults    ${episodes.length}, and the time to recovery: ${rounded.join('; ')}`,
    `  slowest   ${most(alone, 'net')} ms (${most(alone, 'gross')} with the process standing still, ${longestStall.toFixed()} at a time); where the application calls the registry ${most(calling, 'net')} ms`,
    `  forgiven  ${listed(excused) || 'nothing'}; sessions that nobody was told of: ${orphans}`,
    `  errors    ${listed(errors) || 'none'}`,
    `  failures  ${failures.length}`,
    '',
  ].join('\n');
}

function endOf({ closed, left }: Outcome['sockets'][number]): string {
  return left === undefined && closed !== undefined ? `closed, ${closed.reason}` : 'left';
}

function most(times: Outcome['times'], kind: 'net' | 'gross'): string {
  return times.reduce((longest, time) => Math.max(longest, time[kind]), 0).toFixed();
}

function counted(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([what, count]) => `${what}: ${count}`)
    .join(', ');
}
