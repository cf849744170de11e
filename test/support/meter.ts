import { type Attributes, metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';

/** What one instrument says for one set of attributes. Of a histogram, `value` is how often it was recorded. */
export interface Reading {
  readonly name: string;
  readonly unit: string;
  readonly attributes: Attributes;
  readonly value: number;
}

/** The process's OpenTelemetry SDK, with an exporter that keeps what it is given. */
export class TestMeter {
  readonly #exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
  readonly #provider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: this.#exporter, exportIntervalMillis: 2 ** 30 })],
  });
  /** All that was ever read. */
  readonly history: Reading[] = [];

  /** Registers it. Each application that boots from then on is measured. */
  static start(): TestMeter {
    const meter = new TestMeter();
    metrics.setGlobalMeterProvider(meter.#provider);
    return meter;
  }

  /** What has changed since the last call, and in one instrument only, if that is named. */
  async read(name?: string): Promise<Reading[]> {
    const readings = (await this.#collect()).filter(({ value }) => value !== 0);
    this.history.push(...readings);
    return readings.filter((reading) => name === undefined || reading.name === name);
  }

  /** The instruments that have said nothing but zero since the last call. */
  async zeros(): Promise<string[]> {
    return (await this.#collect()).filter(({ value }) => value === 0).map(({ name }) => name);
  }

  /** The same of one instrument, as pairs of the attributes' values without the name, and the number. */
  async changes(name: string): Promise<[Attributes, number][]> {
    return (await this.read(name)).map(({ attributes, value }) => [attributes, value]);
  }

  async stop(): Promise<void> {
    metrics.disable();
    await this.#provider.shutdown();
  }

  async #collect(): Promise<Reading[]> {
    await this.#provider.forceFlush();
    const exported = this.#exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
    this.#exporter.reset();
    return exported
      .flatMap((scope) => scope.metrics)
      .flatMap(({ descriptor, dataPoints }) =>
        (dataPoints as DataPoint<number | Histogram>[]).map(({ attributes, value }) => ({
          name: descriptor.name,
          unit: descriptor.unit,
          attributes,
          value: typeof value === 'number' ? value : value.count,
        })),
      );
  }
}
