import type { VariantName } from '../app/variant.js';
import type { RaceName } from '../scenarios/scenario.js';
import type { Results } from './results.js';
import { type Figure, figureOf, participants, seriesOf } from './summary.js';

const RACES = ['read', 'anonymous', 'login', 'logout'] as const satisfies RaceName[];
const COLOURS: Record<VariantName, string> = {
  bare: '#b8bcc4',
  limit: '#7f8794',
  'hand-wired': '#d98032',
  ours: '#2f6fb5',
  before: '#9db9d9',
  'better-auth': '#8a6fb5',
};

const WIDTH = 820;
const PANEL = { height: 200, top: 64, left: 16, gap: 76 };
const BAR = 38;
const GROUP = (WIDTH - 2 * PANEL.left) / RACES.length;

/** Two panels of grouped bars: the CPU time of a request, and requests per second. */
export function svg(results: Results): string {
  const { circumstances: at } = results;
  const second = PANEL.top + PANEL.height + PANEL.gap;
  const height = second + PANEL.height + 60;
  const caption = `Node ${at.node}, Redis ${at.redis}, ${at.processors} x ${at.processor}, ${at.date.slice(0, 10)}, ${at.commit.slice(0, 7)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...participants(results.commands).map((variant, index) => legend(variant, WIDTH - 500 + index * 100)),
    ...panel(results, 'cpu', 'Server CPU per request, µs (less is better)', PANEL.top),
    ...panel(results, 'throughput', 'Requests per second (more is better)', second),
    text(PANEL.left, height - 14, caption, 'fill="#666"'),
    '</svg>\n',
  ].join('\n');
}

function panel(results: Results, figure: Figure, title: string, top: number): string[] {
  const bottom = top + PANEL.height;
  const variants = participants(results.commands);
  const values = RACES.flatMap((race) => variants.map((variant) => valueOf(results, race, variant, figure) ?? 0));
  const scale = (PANEL.height - 24) / Math.max(...values, 1);
  const groups = RACES.flatMap((race, group) => {
    const left = PANEL.left + group * GROUP + (GROUP - variants.length * BAR) / 2;
    const label = text(left + (variants.length * BAR) / 2, bottom + 18, race, 'text-anchor="middle"');
    const bars = variants.flatMap((variant, index) => {
      const value = valueOf(results, race, variant, figure);
      return value === undefined ? [] : bar(variant, value, left + index * BAR, bottom, value * scale);
    });
    return [...bars, label];
  });
  const axis = `<line x1="${PANEL.left}" y1="${bottom}" x2="${WIDTH - PANEL.left}" y2="${bottom}" stroke="#888"/>`;
  return [text(PANEL.left, top - 12, title, 'font-weight="bold" font-size="14"'), ...groups, axis];
}

function bar(variant: VariantName, value: number, x: number, bottom: number, height: number): string[] {
  const y = (bottom - height).toFixed(1);
  return [
    `<rect x="${x.toFixed(1)}" y="${y}" width="${BAR - 4}" height="${height.toFixed(1)}" fill="${COLOURS[variant]}"/>`,
    text(x + (BAR - 4) / 2, Number(y) - 4, value.toFixed(0), 'text-anchor="middle" font-size="11"'),
  ];
}

function legend(variant: VariantName, x: number): string {
  return `<rect x="${x}" y="12" width="12" height="12" fill="${COLOURS[variant]}"/>${text(x + 18, 22, variant)}`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}

function valueOf(results: Results, race: RaceName, variant: VariantName, figure: Figure): number | undefined {
  const series = seriesOf(results, race, variant);
  return series && figureOf(series, figure);
}
