import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { mapStorage, Singleflight, TieredCache, type TieredCacheOptions } from '../../src/index.js';
import { openTelemetry, type OpenTelemetryOptions } from '../../src/observe/index.js';
import { manualClock, scriptedUpstream } from '../../src/testing/index.js';

const spans = new InMemorySpanExporter();
const figures = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: figures, exportIntervalMillis: 3_600_000 });
const tracers = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] });
const meters = new MeterProvider({ readers: [reader] });
const tracer = tracers.getTracer('test');

beforeAll(() => {
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  api.trace.setGlobalTracerProvider(tracers);
  api.metrics.setGlobalMeterProvider(meters);
});

afterAll(async () => {
  await Promise.all([tracers.shutdown(), meters.shutdown()]);
  api.trace.disable();
  api.metrics.disable();
  api.context.disable();
});

afterEach(() => {
  spans.reset();
  figures.reset();
});

function setup(
  options: Partial<TieredCacheOptions<string>> = {},
  telemetry: Partial<OpenTelemetryOptions> = { metrics: false },
) {
  const clock = manualClock();
  const upstream = scriptedUpstream<string>();
  const cache = new TieredCache<string>({ ttl: '1s', clock, upstream, ...options });
  const stop = openTelemetry(cache, { api, name: 'posts', ...telemetry });
  return { cache, clock, upstream, stop };
}

/** Runs `work` in a trace of its own, as the handler of a request would. */
async function request<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}

function named(name: string): ReadableSpan[] {
  return spans.getFinishedSpans().filter((span) => span.name === name);
}

describe('spans', () => {
  test('a load is a child of its leader, and each wait, in a trace of its own, links to it', async () => {
    const { cache, upstream } = setup();

    const all = Promise.all(['a', 'b', 'c'].map((name) => request(name, () => cache.get('k'))));
    upstream.calls[0]!.resolve('v');
    await all;

    const [load] = named('soloflight.load');
    const [leader] = named('a');
    expect(named('soloflight.load')).toHaveLength(1);
    expect(load!.parentSpanContext?.spanId).toBe(leader!.spanContext().spanId);
    expect(load!.attributes).toMatchObject({ reason: 'miss', outcome: 'ok', loaded: true, subscribers: 3 });
    const waits = named('soloflight.wait');
    expect(waits.map(({ links }) => links.map(({ context }) => context.spanId))).toEqual([
      [load!.spanContext().spanId],
      [load!.spanContext().spanId],
    ]);
    const parents = [named('b')[0]!, named('c')[0]!].map((span) => span.spanContext());
    expect(waits.map((span) => span.parentSpanContext?.spanId)).toEqual(parents.map(({ spanId }) => spanId));
    expect(waits.map((span) => span.spanContext().traceId)).toEqual(parents.map(({ traceId }) => traceId));
    expect(new Set([load!, ...waits].map((span) => span.spanContext().traceId)).size).toBe(3);
  });

  test('a background reload is a root span with a link to the read that caused it', async () => {
    const { cache, clock, upstream } = setup({ staleWhileRevalidate: '1m' });
    void cache.get('k');
    upstream.calls[0]!.resolve('v');
    await cache.idle();
    await clock.advance(2_000);
    spans.reset();

    await request('reader', () => cache.get('k'));
    upstream.calls[1]!.resolve('w');
    await cache.idle();

    const [load] = named('soloflight.load');
    expect(load!.parentSpanContext).toBeUndefined();
    expect(load!.links.map(({ context }) => context.spanId)).toEqual([named('reader')[0]!.spanContext().spanId]);
    expect(load!.attributes).toMatchObject({ reason: 'revalidate' });
  });

  test('a hit makes none', async () => {
    const { cache, upstream } = setup();
    void cache.get('k');
    upstream.calls[0]!.resolve('v');
    await cache.idle();
    spans.reset();

    await request('reader', () => cache.get('k'));

    expect(spans.getFinishedSpans().map(({ name }) => name)).toEqual(['reader']);
  });

  test('a failed load is an error, for those who waited as well', async () => {
    const { cache, upstream } = setup();

    const reads = ['a', 'b'].map((name) => request(name, () => cache.get('k').catch(() => '')));
    upstream.calls[0]!.reject(new Error('no'));
    await Promise.all(reads);

    const codes = [...named('soloflight.load'), ...named('soloflight.wait')].map(({ status }) => status.code);
    expect(codes).toEqual([api.SpanStatusCode.ERROR, api.SpanStatusCode.ERROR]);
  });

  test('tell no key unless asked to, and never a value', async () => {
    const hidden = setup();
    const grouped = setup({}, { metrics: false, keys: (key) => `${key.split(':')[0]}:*` });

    for (const { cache, upstream } of [hidden, grouped]) {
      void cache.get('user:secret');
      upstream.calls[0]!.resolve('secret value');
      await cache.idle();
    }

    const [first, second] = named('soloflight.load');
    expect(JSON.stringify([first!.attributes, second!.attributes])).not.toContain('secret');
    expect(second!.attributes['cache.key']).toBe('user:*');
  });

  test("`spans: 'loads'` makes no span per waiting caller", async () => {
    const { cache, upstream } = setup({}, { metrics: false, spans: 'loads' });

    const reads = ['a', 'b'].map((name) => request(name, () => cache.get('k')));
    upstream.calls[0]!.resolve('v');
    await Promise.all(reads);

    expect([named('soloflight.load').length, named('soloflight.wait').length]).toEqual([1, 0]);
  });

  test('what it returns ends open spans: none may be left for ever', async () => {
    const { cache, upstream, stop } = setup();

    void cache.get('k');
    stop();

    expect(named('soloflight.load')).toHaveLength(1);
    upstream.calls[0]!.resolve('v');
    await cache.idle();
    expect(named('soloflight.load')).toHaveLength(1);
  });

  test('a tracer that throws fails no read', async () => {
    const fail = (): never => {
      throw new Error('exporter down');
    };
    const broken = { trace: { getTracer: fail, getSpanContext: fail }, context: api.context, metrics: api.metrics };
    const cache = new TieredCache<string>({ ttl: '1s', upstream: () => 'v' });
    openTelemetry(cache, { api: broken, metrics: false });

    await expect(Promise.all([cache.get('a'), cache.get('a')])).resolves.toEqual(['v', 'v']);
  });
});

describe('metrics', () => {
  /** The points of one metric, as attributes and value. */
  async function points(name: string): Promise<{ attributes: unknown; value: unknown }[]> {
    await reader.forceFlush();
    const metrics = figures
      .getMetrics()
      .at(-1)!
      .scopeMetrics.flatMap((scope) => scope.metrics);
    const found = metrics.filter(({ descriptor }) => descriptor.name === name);
    return found.flatMap(({ dataPoints }) => dataPoints.map(({ attributes, value }) => ({ attributes, value })));
  }

  test('tell requests, loads and flights by the names of the list', async () => {
    const { cache, upstream, stop } = setup({}, { spans: false, name: 'counted' });
    const reads = [cache.get('k'), cache.get('k')];
    upstream.calls[0]!.resolve('v');
    await Promise.all(reads);
    await cache.get('k');

    expect(await points('soloflight.cache.requests')).toContainEqual({
      attributes: { 'cache.name': 'counted', result: 'hit' },
      value: 1,
    });
    expect(await points('soloflight.cache.loads')).toContainEqual({
      attributes: { 'cache.name': 'counted', reason: 'miss', outcome: 'ok' },
      value: 1,
    });
    expect(await points('soloflight.flights')).toContainEqual({ attributes: { 'cache.name': 'counted' }, value: 0 });
    stop();
  });

  test('durations of loads and of storage are histograms in seconds', async () => {
    const { cache, clock, upstream, stop } = setup({ storage: mapStorage() }, { spans: false, name: 'timed' });
    const read = cache.get('k');
    while (upstream.count === 0) await null;
    await clock.advance(250);
    upstream.calls[0]!.resolve('v');
    await read;

    const loads = await points('soloflight.cache.load.duration');
    const boundaries = Array.from({ length: 16 }, (_, index) => 2 ** (index - 10));
    expect(loads).toContainEqual(
      expect.objectContaining({
        attributes: { 'cache.name': 'timed', reason: 'miss' },
        value: expect.objectContaining({ count: 1, sum: 0.25, buckets: expect.objectContaining({ boundaries }) }),
      }),
    );
    expect((await points('soloflight.storage.duration')).length).toBeGreaterThan(0);
    stop();
  });

  test('of a Singleflight are told as well, and are not read any more once that is ended', async () => {
    const flights = new Singleflight();
    let readings = 0;
    const source = { getStats: () => ((readings += 1), flights.getStats()) };
    const stop = openTelemetry(source, { api, name: 'flights' });

    const told = await points('soloflight.flights');
    stop();
    const before = readings;
    await reader.forceFlush();

    expect(told).toContainEqual({ attributes: { 'cache.name': 'flights' }, value: 0 });
    expect(readings).toBe(before);
  });

  test('a source that fails when read leaves those of others alone', async () => {
    const broken = {
      getStats: (): never => {
        throw new Error('gone');
      },
    };
    const stops = [
      openTelemetry(broken, { api, name: 'broken' }),
      openTelemetry(new Singleflight(), { api, name: 'well' }),
    ];

    const told = await points('soloflight.flights');

    expect(told).toContainEqual({ attributes: { 'cache.name': 'well' }, value: 0 });
    for (const stop of stops) stop();
  });
});

test.each([
  ['no api', {}],
  ['another kind of span', { api, spans: 'every' }],
])('%s is a TypeError', (_case, options) => {
  expect(() => openTelemetry(new Singleflight(), options as never)).toThrow(TypeError);
});
