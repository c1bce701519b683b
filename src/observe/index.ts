export type { Sources } from './collect.js';
export { INSTRUMENTS, type Instrument } from './names.js';
export type { Observed, ObservedBatcher, ObservedCache, ObservedFlights, ObservedWrites } from './observed.js';
export { prometheusText, type PrometheusOptions } from './prometheus.js';
export { observe } from './recorder.js';
export type { KeyPolicy } from './key-policy.js';
export { logTo, type LogFields, type Logger, type LogOptions } from './log-to.js';
export { openTelemetry, type OpenTelemetryOptions } from './open-telemetry.js';
export type { OtelApi } from './otel-api.js';
