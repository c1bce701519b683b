import type { CacheEvent } from '../base/events.js';
import { misuse } from '../errors.js';
import { collect } from './collect.js';
import { keyTeller, type KeyPolicy } from './key-policy.js';
import { INSTRUMENTS, type Instrument } from './names.js';
import { known, type Observed, type ObservedCache } from './observed.js';
import type { OtelApi, OtelHistogram, OtelInstrument, OtelResult, OtelSpan } from './otel-api.js';

/** Options of {@link openTelemetry}. */
export interface OpenTelemetryOptions {
  /** What `@opentelemetry/api` exports: `import * as api from '@opentelemetry/api'`. */
  readonly api: OtelApi;
  /** Name of the source, as the attribute `cache.name`. @default 'default' */
  readonly name?: string;
  /** `'loads'`: a span per load; `'waits'`: also one per caller that waits for another's load. @default 'waits' */
  readonly spans?: 'loads' | 'waits' | false;
  /** @default true */
  readonly metrics?: boolean;
  /** What spans tell of keys. Metrics never tell any. @default false, which is nothing */
  readonly keys?: KeyPolicy;
}

type Api = OtelApi;
type FlightEvent = Extract<CacheEvent, { type: 'flight' }>;

const SCOPE = 'soloflight';
/** `SpanStatusCode.ERROR` of OpenTelemetry. */
const ERROR = 2;
/** The SDK's own bounds are meant for milliseconds. */
const BOUNDS = Array.from({ length: 16 }, (_, index) => 2 ** (index - 10));

/**
 * Tells OpenTelemetry of `source`: metrics, and for caches spans. The returned function ends that.
 *
 * Hits make no spans. A flight makes `soloflight.load`, in the context of the call that leads it; a call that joins makes
 * `soloflight.wait` in its own context, linked to the load. A reload behind a caller's back is a root span, linked to the span
 * of the read that caused it. Exporters that throw disturb nothing.
 *
 * @throws TypeError for what can't be observed, or an option that makes no sense.
 */
export function openTelemetry(source: Observed, options: OpenTelemetryOptions): () => void {
  const { api, name = 'default', spans = 'waits', metrics = true, keys = false } = options ?? {};
  if (typeof api?.trace?.getTracer !== 'function') throw misuse('api', 'what @opentelemetry/api exports', api);
  if (spans !== false && spans !== 'loads' && spans !== 'waits')
    throw misuse('spans', "'loads', 'waits' or false", spans);
  const tellKey = keyTeller(keys);
  const found = known(source);
  const leave: (() => void)[] = [];
  if (metrics) leave.push(...measure(api, name, source));
  if (found.kind === 'cache') {
    if (metrics) leave.push(...time(api, name, found.source));
    if (spans !== false) {
      const tracer = new FlightSpans(api, { name, waits: spans === 'waits', tellKey });
      leave.push(
        found.source.on('flight', (event) => quietly(() => tracer.tell(event))),
        () => tracer.end(),
      );
    }
  }
  return () => {
    for (const one of leave) one();
  };
}

/** Counters and gauges, read whenever the SDK collects. */
function measure(api: Api, name: string, source: Observed): (() => void)[] {
  const meter = api.metrics.getMeter(SCOPE);
  const instruments = new Map<Instrument, OtelInstrument>();
  for (const instrument of Object.values(INSTRUMENTS)) {
    if (instrument.kind === 'histogram') continue;
    const options = { description: instrument.help, ...(instrument.unit && { unit: instrument.unit }) };
    const made =
      instrument.kind === 'counter'
        ? meter.createObservableCounter(instrument.name, options)
        : meter.createObservableGauge(instrument.name, options);
    instruments.set(instrument, made);
  }
  const observed = [...instruments.values()];
  const callback = (result: OtelResult): void =>
    quietly(() => {
      for (const [instrument, samples] of collect({ [name]: source })) {
        const metric = instruments.get(instrument);
        if (metric !== undefined) for (const sample of samples) result.observe(metric, sample.value, sample.attributes);
      }
    });
  // Events are counted from here on, not from the first collection.
  collect({ [name]: source });
  meter.addBatchObservableCallback(callback, observed);
  return [() => meter.removeBatchObservableCallback(callback, observed)];
}

/** Histograms, recorded as durations become known. */
function time(api: Api, name: string, cache: ObservedCache): (() => void)[] {
  const meter = api.metrics.getMeter(SCOPE);
  const histogram = ({ name: metric, help }: Instrument): OtelHistogram =>
    meter.createHistogram(metric, { description: help, unit: 's', advice: { explicitBucketBoundaries: BOUNDS } });
  const loads = histogram(INSTRUMENTS.loadDuration);
  const storage = histogram(INSTRUMENTS.storageDuration);
  const source = { 'cache.name': name };
  const loaded = ({ reason, durationMs }: { readonly reason: string; readonly durationMs: number }): void =>
    quietly(() => loads.record(durationMs / 1_000, { ...source, reason }));
  return [
    cache.on('load', loaded),
    cache.on('load-error', loaded),
    cache.on('storage', ({ tier, operation, outcome, durationMs }) =>
      quietly(() => storage.record(durationMs / 1_000, { ...source, tier, operation, outcome })),
    ),
  ];
}

interface SpanSettings {
  readonly name: string;
  readonly waits: boolean;
  readonly tellKey: (key: string) => string | undefined;
}

/** The spans of flights under way. */
class FlightSpans {
  readonly #api: Api;
  readonly #settings: SpanSettings;
  readonly #open = new Map<number, { readonly load: OtelSpan; readonly waits: OtelSpan[] }>();

  constructor(api: Api, settings: SpanSettings) {
    this.#api = api;
    this.#settings = settings;
  }

  tell(event: FlightEvent): void {
    switch (event.phase) {
      case 'lead':
        return this.#lead(event);
      case 'join':
        return this.#join(event);
      case 'settle':
        return this.#settle(event);
    }
  }

  /** Ends what is open: nobody will tell how it went. */
  end(): void {
    for (const { load, waits } of this.#open.values()) for (const span of [...waits, load]) quietly(() => span.end());
    this.#open.clear();
  }

  #lead(event: Extract<FlightEvent, { phase: 'lead' }>): void {
    const { context, trace } = this.#api;
    const active = context.active();
    const caused = event.reason === 'revalidate' ? trace.getSpanContext(active) : undefined;
    const attributes = { ...this.#attributes(event.key), reason: event.reason };
    const options = {
      attributes,
      ...(event.reason === 'revalidate' && { root: true }),
      ...(caused !== undefined && { links: [{ context: caused }] }),
    };
    this.#open.set(event.flight, {
      load: trace.getTracer(SCOPE).startSpan('soloflight.load', options, active),
      waits: [],
    });
  }

  #join(event: Extract<FlightEvent, { phase: 'join' }>): void {
    const flight = this.#open.get(event.flight);
    if (flight === undefined || !this.#settings.waits) return;
    const { context, trace } = this.#api;
    const active = context.active();
    // Without a trace of its own a wait has nobody to explain itself to, and a crowd has many of them.
    if (trace.getSpanContext(active) === undefined) return;
    const load = flight.load.spanContext();
    // Given at creation, since samplers see no other links.
    const options = { attributes: this.#attributes(event.key), links: [{ context: load }] };
    flight.waits.push(trace.getTracer(SCOPE).startSpan('soloflight.wait', options, active));
  }

  #settle(event: Extract<FlightEvent, { phase: 'settle' }>): void {
    const flight = this.#open.get(event.flight);
    this.#open.delete(event.flight);
    if (flight === undefined) return;
    const { outcome, loaded, fallback, subscribers } = event;
    for (const span of [...flight.waits, flight.load])
      quietly(() => {
        span.setAttributes({ outcome, loaded, fallback, ...(span === flight.load && { subscribers }) });
        if (outcome !== 'ok') span.setStatus({ code: ERROR, message: outcome });
        span.end();
      });
  }

  #attributes(key: string): Readonly<Record<string, string>> {
    const told = this.#settings.tellKey(key);
    return { 'cache.name': this.#settings.name, ...(told !== undefined && { 'cache.key': told }) };
  }
}

/** Runs `work`, and lets the failure of an exporter be its own. */
function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // Nobody to tell: telling is what failed.
  }
}
