/** The parts of `@opentelemetry/api` that are used, so that nothing has to be imported. */
export interface OtelApi {
  readonly trace: {
    getTracer(name: string): { startSpan(name: string, options?: OtelSpanOptions, context?: OtelContext): OtelSpan };
    getSpanContext(context: OtelContext): OtelSpanContext | undefined;
  };
  readonly context: { active(): OtelContext };
  readonly metrics: { getMeter(name: string): OtelMeter };
}

/** A context of OpenTelemetry. */
interface OtelContext {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): OtelContext;
  deleteValue(key: symbol): OtelContext;
}

interface OtelSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

interface OtelSpanOptions {
  attributes?: Record<string, string | number | boolean>;
  links?: { context: OtelSpanContext }[];
  root?: boolean;
}

export interface OtelSpan {
  spanContext(): OtelSpanContext;
  setAttributes(attributes: Record<string, string | number | boolean>): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/** An observable instrument. */
export interface OtelInstrument {
  addCallback(callback: never): void;
  removeCallback(callback: never): void;
}

export interface OtelHistogram {
  record(value: number, attributes?: Record<string, string>): void;
}

interface OtelMeter {
  createObservableCounter(name: string, options?: { description?: string; unit?: string }): OtelInstrument;
  createObservableGauge(name: string, options?: { description?: string; unit?: string }): OtelInstrument;
  createHistogram(
    name: string,
    options?: { description?: string; unit?: string; advice?: { explicitBucketBoundaries?: number[] } },
  ): OtelHistogram;
  addBatchObservableCallback(callback: (result: OtelResult) => void, observables: OtelInstrument[]): void;
  removeBatchObservableCallback(callback: (result: OtelResult) => void, observables: OtelInstrument[]): void;
}

/** What a batch callback observes with. */
export interface OtelResult {
  observe(metric: OtelInstrument, value: number, attributes?: Record<string, string>): void;
}
