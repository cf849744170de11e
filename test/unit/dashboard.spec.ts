import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attributes } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import {
  createInstruments,
  END_REASON,
  ERROR_TYPE,
  METHOD,
  OPERATION,
  OUTCOME,
  STRATEGY,
} from '../../lib/metrics/instruments.js';

const DOCS = join(import.meta.dirname, '../../docs');
const ATTRIBUTES = [STRATEGY, METHOD, END_REASON, OUTCOME, OPERATION, ERROR_TYPE];

/** What OpenTelemetry's own exporter for Prometheus makes of all instruments: names, and labels of any of them. */
async function exported(): Promise<{ names: string[]; labels: string[] }> {
  const reader = new PrometheusExporter({ preventServerStart: true });
  const provider = new MeterProvider({ readers: [reader] });
  const attributes: Attributes = Object.fromEntries(ATTRIBUTES.map((name) => [name, 'word']));
  for (const instrument of Object.values(createInstruments(provider.getMeter('test')))) {
    if ('add' in instrument) instrument.add(1, attributes);
    else if ('record' in instrument) instrument.record(1, attributes);
    else instrument.addCallback((result) => result.observe(1, attributes));
  }
  const { resourceMetrics } = await reader.collect();
  const text = new PrometheusSerializer().serialize(resourceMetrics);
  await provider.shutdown();
  return {
    names: Array.from(text.matchAll(/^(session_auth_\w+)\{/gm), ([, name = '']) => name),
    labels: ['job', 'le', ...Array.from(text.matchAll(/[{,](\w+)=/g), ([, label = '']) => label)],
  };
}

/** What a query in the language of Prometheus names. A name may be a pattern, since exporters differ by the unit in it. */
function namedIn(query: string): { names: string[]; labels: string[] } {
  const patterns = Array.from(query.matchAll(/__name__=~"([^"]+)"/g), ([, pattern = '']) => pattern);
  const plain = query.replaceAll(/__name__=~"[^"]+",?/g, '');
  const grouped = Array.from(plain.matchAll(/by \(([^)]*)\)/g), ([, list = '']) => list.split(', ')).flat();
  return {
    names: [...patterns, ...Array.from(plain.matchAll(/\b(session_auth_\w+)[{[]/g), ([, name = '']) => name)],
    labels: [...grouped, ...Array.from(plain.matchAll(/(\w+)(?:=~|!=|=)"/g), ([, label = '']) => label)],
  };
}

function unknownIn(queries: readonly string[], known: Awaited<ReturnType<typeof exported>>): string[] {
  return queries
    .map(namedIn)
    .flatMap(({ names, labels }) => [
      ...names.filter((name) => !known.names.some((one) => new RegExp(`^(?:${name})$`).test(one))),
      ...labels.filter((label) => !known.labels.includes(label)),
    ]);
}

describe('the Grafana dashboard', () => {
  const dashboard = JSON.parse(readFileSync(join(DOCS, 'grafana/session-auth.json'), 'utf8')) as {
    __inputs: { name: string; pluginId: string }[];
    panels: {
      datasource: { uid: string };
      targets: { expr: string; legendFormat: string; datasource: { uid: string } }[];
    }[];
  };
  const targets = dashboard.panels.flatMap((panel) => panel.targets);

  it('asks for metrics and labels that SessionMetrics exports, and for each metric', async () => {
    const known = await exported();
    const queries = targets.map(({ expr }) => expr);

    expect(queries.length).toBeGreaterThan(10);
    expect(unknownIn(queries, known)).toEqual([]);
    const names = queries.flatMap((query) => namedIn(query).names.map((name) => new RegExp(`^(?:${name})$`)));
    const unused = known.names.filter((name) => !/_sum$/.test(name) && !names.some((pattern) => pattern.test(name)));
    expect(unused).toEqual([]);
  });

  it('names only labels by which its queries group in its legends', () => {
    for (const { expr, legendFormat } of targets) {
      const used = Array.from(legendFormat.matchAll(/{{(\w+)}}/g), ([, label = '']) => label);
      expect(namedIn(expr).labels).toEqual(expect.arrayContaining(used));
    }
  });

  it('asks the data source that is chosen when it is imported', () => {
    const [input] = dashboard.__inputs;

    expect(input).toMatchObject({ name: 'DS_PROMETHEUS', pluginId: 'prometheus' });
    const sources = [...dashboard.panels, ...targets].map(({ datasource }) => datasource.uid);
    expect(new Set(sources)).toEqual(new Set(['${DS_PROMETHEUS}']));
  });
});

describe('docs/metrics.md', () => {
  const page = readFileSync(join(DOCS, 'metrics.md'), 'utf8');

  it('alerts by metrics and labels that SessionMetrics exports', async () => {
    const queries = Array.from(page.matchAll(/^ *expr: (.+)$/gm), ([, query = '']) => query);

    expect(queries.length).toBeGreaterThan(3);
    expect(unknownIn(queries, await exported())).toEqual([]);
  });

  it('lists each instrument with its unit and type', () => {
    const listed = Array.from(page.matchAll(/^\| `(session_auth[.\w]+)` +\| ([-\w ]+?) +\| `([^`]+)`/gm), (row) =>
      row.slice(1),
    );
    const provider = new MeterProvider();
    const instruments = Object.values(createInstruments(provider.getMeter('test'))) as unknown as {
      _descriptor: { name: string; type: string; unit: string };
    }[];
    const made = instruments.map(({ _descriptor: { name, type, unit } }) => [
      name,
      type.toLowerCase().replaceAll('_', ' ').replace('observable up down', 'up-down'),
      unit,
    ]);

    expect(listed.sort()).toEqual(made.sort());
  });
});
