import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Series } from './prometheus.js';

export interface Panel {
  readonly type: 'stat' | 'timeseries';
  readonly title: string;
  readonly gridPos: { x: number; y: number; w: number; h: number };
  readonly fieldConfig: {
    defaults: { unit: string; decimals?: number; custom?: { stacking: { mode: string } }; thresholds?: Thresholds };
  };
  readonly targets: { expr: string; legendFormat: string }[];
}

interface Thresholds {
  steps: { color: string; value: number | null }[];
}

export interface Line {
  readonly name: string;
  readonly series: Series;
}

/** Pixels of the page, and of a row of Grafana's grid, which has 24 columns. */
export const WIDTH = 1400;
const ROW = 34;
const COLORS = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#b877d9', '#8ab8ff', '#ffa6b0', '#96d98d'];

/** The height of the page with these panels. */
export function heightOf(panels: readonly Panel[]): number {
  return Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * ROW + 60;
}

/** A page that draws the panels, each with what its queries gave. uPlot is what Grafana draws time series with, too. */
export function pageOf(title: string, panels: readonly (readonly [Panel, Line[]])[]): string {
  const folder = createRequire(import.meta.url)
    .resolve('uplot/package.json')
    .replace('package.json', 'dist/');
  const charts = panels.flatMap(([panel, lines], place) =>
    panel.type === 'timeseries' ? [{ place, unit: panel.fieldConfig.defaults.unit, ...chartOf(panel, lines) }] : [],
  );
  return `<!doctype html><meta charset="utf-8"><style>${readFileSync(`${folder}uPlot.min.css`, 'utf8')}${STYLE}</style>
<h1>${title}</h1>
${panels.map(([panel, lines], place) => panelOf(panel, lines, place)).join('\n')}
<script>${readFileSync(`${folder}uPlot.iife.min.js`, 'utf8')}</script>
<script>const charts = ${JSON.stringify(charts)}; const format = ${format.toString()}; (${draw.toString()})(charts, format);</script>`;
}

function panelOf({ type, title, gridPos: { x, y, w, h }, fieldConfig }: Panel, lines: Line[], place: number): string {
  const column = WIDTH / 24;
  const box = `left:${x * column + 4}px;top:${y * ROW + 52}px;width:${w * column - 8}px;height:${h * ROW - 8}px`;
  if (type === 'timeseries') {
    const legend = lines.map(({ name }, n) => `<i><b style="background:${colorOf(n)}"></b>${name}</i>`).join('');
    return `<section style="${box}"><h2>${title}</h2><div id="chart-${place}"></div><p>${legend}</p></section>`;
  }
  const value = Number(lines[0]?.series.values.at(-1)?.[1] ?? NaN);
  const { unit, decimals, thresholds } = fieldConfig.defaults;
  const step = thresholds?.steps.filter((one) => one.value === null || value >= one.value).at(-1);
  const color = { green: '#73bf69', orange: '#ff9830', red: '#f2495c' }[step?.color ?? ''] ?? '#ccccdc';
  const text = Number.isNaN(value) ? 'No data' : format(value, unit, decimals);
  return `<section style="${box}"><h2>${title}</h2><strong style="color:${color}">${text}</strong></section>`;
}

function colorOf(place: number): string {
  return COLORS[place % COLORS.length] ?? '';
}

/** The lines as columns over the moments of all; those that are stacked as their sums, the highest first. */
function chartOf(panel: Panel, lines: Line[]) {
  const times = [...new Set(lines.flatMap(({ series }) => series.values.map(([time]) => time)))].sort((a, b) => a - b);
  const columns = lines.map(({ series }) => {
    const values = new Map(series.values.map(([time, value]) => [time, Number(value)]));
    return times.map((time) => finite(values.get(time)));
  });
  const isStacked = panel.fieldConfig.defaults.custom?.stacking.mode === 'normal';
  if (isStacked) {
    columns.forEach((column, n) => {
      const below = columns[n - 1];
      column.forEach((value, at) => {
        column[at] = (value ?? 0) + (below?.[at] ?? 0);
      });
    });
  }
  const drawn = lines.map((_, n) => ({ color: colorOf(n), column: columns[n] ?? [] }));
  return { times, isStacked, drawn: isStacked ? drawn.reverse() : drawn };
}

function finite(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}

/** A number in Grafana's unit. It runs here and in the page. */
function format(value: number, unit: string, decimals = value < 10 && value % 1 !== 0 ? 1 : 0): string {
  switch (unit) {
    case 's':
      return value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${value} s`;
    case 'percentunit':
      return `${(value * 100).toFixed(decimals)} %`;
    case 'opm':
      return `${value.toFixed(decimals)} /min`;
    case 'ops':
      return `${value.toFixed(decimals)} /s`;
    default:
      return value.toFixed(decimals);
  }
}

interface Chart {
  place: number;
  unit: string;
  times: number[];
  isStacked: boolean;
  drawn: { color: string; column: (number | null)[] }[];
}

type Plot = new (options: object, data: (number | null)[][], target: object) => unknown;

/** In the page. */
function draw(charts: Chart[], text: (value: number, unit: string) => string): void {
  const { document, uPlot } = globalThis as unknown as {
    document: { getElementById(id: string): { clientWidth: number; clientHeight: number } };
    uPlot: Plot;
  };
  const grid = { stroke: '#2c2f36', width: 1 };
  for (const { place, unit, times, isStacked, drawn } of charts) {
    const target = document.getElementById(`chart-${place}`);
    const axis = { stroke: '#9fa4ad', grid, ticks: grid, font: '11px sans-serif' };
    const options = {
      width: target.clientWidth,
      height: target.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_: unknown, __: number, most: number) => [0, most > 0 ? most * 1.1 : 1] } },
      axes: [
        axis,
        { ...axis, size: 84, values: (_: unknown, values: number[]) => values.map((one) => text(one, unit)) },
      ],
      series: [
        {},
        ...drawn.map(({ color }) => ({
          stroke: color,
          width: 1.5,
          fill: color + (isStacked ? 'aa' : '18'),
          points: { show: false },
          spanGaps: true,
        })),
      ],
    };
    new uPlot(options, [times, ...drawn.map(({ column }) => column)], target);
  }
}

const STYLE = `
body { margin: 0; background: #111217; color: #ccccdc; font-family: Inter, 'DejaVu Sans', sans-serif; }
h1 { margin: 14px 12px; font-size: 18px; font-weight: 500; }
section { position: absolute; box-sizing: border-box; padding: 8px 10px; background: #181b1f; border: 1px solid #2c2f36;
  border-radius: 2px; display: flex; flex-direction: column; overflow: hidden; }
h2 { margin: 0 0 4px; font-size: 13px; font-weight: 500; }
strong { margin: auto; font-size: 30px; font-weight: 500; }
section > div { flex: 1; min-height: 0; overflow: hidden; }
p { margin: 2px 0 0; font-size: 11px; line-height: 15px; }
i { font-style: normal; margin-right: 12px; white-space: nowrap; }
i b { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: middle; }
`;
