import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually.js';
import { freePort } from '../../scripts/free-port.mjs';

/** One line of a chart: the labels, and a value for each moment. */
export interface Series {
  readonly metric: Record<string, string>;
  readonly values: [seconds: number, value: string][];
}

/** A Prometheus that reads one application each second. `PROMETHEUS_BIN` names its binary, if not `prometheus`. */
export class Prometheus {
  private constructor(
    private readonly url: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(metricsPort: number): Promise<Prometheus> {
    const directory = mkdtempSync(join(tmpdir(), 'prometheus-'));
    const config = join(directory, 'prometheus.yml');
    const targets = [`127.0.0.1:${metricsPort}`];
    writeFileSync(
      config,
      JSON.stringify({
        global: { scrape_interval: '1s' },
        scrape_configs: [{ job_name: 'shop', static_configs: [{ targets }] }],
      }),
    );
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(
      process.env['PROMETHEUS_BIN'] ?? 'prometheus',
      [`--config.file=${config}`, `--storage.tsdb.path=${directory}/data`, `--web.listen-address=${address}`],
      { stdio: 'ignore' },
    );
    const prometheus = new Prometheus(`http://${address}`, child, directory);
    await eventually('Prometheus to be ready', async () => (await fetch(`http://${address}/-/ready`)).ok, {
      timeout: 60_000,
      interval: 200,
    });
    return prometheus;
  }

  async query(expression: string, start: number, end: number, step: number): Promise<Series[]> {
    const parameters = new URLSearchParams({ query: expression, start: `${start}`, end: `${end}`, step: `${step}` });
    const response = await fetch(`${this.url}/api/v1/query_range?${parameters.toString()}`);
    const { data, error } = (await response.json()) as { data?: { result: Series[] }; error?: string };
    if (data === undefined) {
      throw new Error(`${expression}: ${error ?? response.status}`);
    }
    return data.result;
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
    rmSync(this.directory, { recursive: true, force: true });
  }
}
