import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { freePort } from '../../scripts/free-port.mjs';
import { RedisServer } from '../../test/support/redis-server.js';
import { ROOT } from '../report/circumstances.js';
import { startApplication } from './app.js';
import { heightOf, type Line, pageOf, type Panel, WIDTH } from './page.js';
import { Prometheus, type Series } from './prometheus.js';
import { visit } from './visitors.js';

/*
 * `npm run docs:dashboard` makes docs/images/dashboard.png: an application in use, measured by `SessionMetrics`, read by a
 * real Prometheus; the panels and queries are those of docs/grafana/session-auth.json. It needs Prometheus, Chromium and
 * Redis on this machine, and no Grafana.
 */

const SECONDS = Number(process.argv[2] ?? 180);
const VISITORS = 40;
const OUTAGE = 4_000;
const RATE_INTERVAL = '15s';
const STEP = 2;

interface Dashboard {
  title: string;
  panels: Panel[];
}

const { title, panels } = JSON.parse(readFileSync(join(ROOT, 'docs/grafana/session-auth.json'), 'utf8')) as Dashboard;

const metricsPort = await freePort();
metrics.setGlobalMeterProvider(
  new MeterProvider({ readers: [new PrometheusExporter({ host: '127.0.0.1', port: metricsPort })] }),
);
const redis = await RedisServer.start();
const { app, url } = await startApplication(redis.url);
const prometheus = await Prometheus.start(metricsPort);
try {
  const start = Date.now() / 1000;
  const visits = visit(url, VISITORS, SECONDS);
  await pause(SECONDS * 600);
  redis.pause(); // So that the dashboard has something to show.
  await pause(OUTAGE);
  redis.resume();
  await visits;
  const end = Date.now() / 1000;
  takePicture(pageOf(title, await Promise.all(panels.map((panel) => filled(panel, start, end)))));
} finally {
  await prometheus.stop();
  await app.close();
  await redis.stop();
}
process.exit();

async function filled(panel: Panel, start: number, end: number): Promise<[Panel, Line[]]> {
  const lines = await Promise.all(
    panel.targets.map(async ({ expr, legendFormat }) => {
      const query = expr.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll('$job', '.*');
      const found = await prometheus.query(query, start, end, STEP);
      return found.map((series) => ({ name: nameOf(legendFormat, series), series }));
    }),
  );
  return [panel, lines.flat()];
}

/** As Grafana fills a legend's format. */
function nameOf(format: string, { metric }: Series): string {
  return format.replaceAll(/{{(\w+)}}/g, (_, label: string) => metric[label] ?? '').trim();
}

function takePicture(html: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
  const page = join(folder, 'dashboard.html');
  writeFileSync(page, html);
  const { status, stderr } = spawnSync(process.env['CHROMIUM_BIN'] ?? 'chromium', [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    `--window-size=${WIDTH},${heightOf(panels)}`,
    `--screenshot=${join(ROOT, 'docs/images/dashboard.png')}`,
    `file://${page}`,
  ]);
  if (status !== 0) {
    throw new Error(`Chromium could not draw the page: ${String(stderr)}`);
  }
  rmSync(folder, { recursive: true, force: true });
}
