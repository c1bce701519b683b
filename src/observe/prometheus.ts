import { LOWEST, PER_DOUBLING } from '../base/latency.js';
import { misuse } from '../errors.js';
import { collect, type Sources } from './collect.js';
import { INSTRUMENTS, prometheusName, type Instrument } from './names.js';
import { readable, type Attributes, type Durations, type Sample } from './samples.js';

/** Options of {@link prometheusText}. */
export interface PrometheusOptions {
  /** Labels of every series, `region` for example. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether the text is OpenMetrics 1.0 (`application/openmetrics-text; version=1.0.0`). @default false, which is text/plain; version=0.0.4 */
  readonly openMetrics?: boolean;
}

/** Classic buckets end at 2^-10 s (1 ms) to 2^5 s, one per doubling. */
const FIRST_POWER = -10;
const LAST_POWER = 5;
/** Labels that instruments have themselves. */
const OWN_LABELS: ReadonlySet<string> = new Set('cache_name result reason outcome kind tier operation le'.split(' '));

/**
 * The figures of `sources` for Prometheus to scrape. Never fails because a source does.
 *
 * Several sources may come by name, `{ posts, users }`; the name is the label `cache_name`. 100 names get series of their own,
 * further sources are added up as `other`. Figures that need events count from the first call, or from {@link observe}.
 *
 * @throws TypeError for a source that can't be observed, or a bad label.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { prometheusText } from 'soloflight/observe';
 *
 * const posts = new TieredCache<string>({ ttl: '10s', upstream: (id) => `post ${id}` });
 * await posts.get('1');
 * console.log(prometheusText({ posts }).includes('{cache_name="posts",result="miss"} 1')); // true
 * ```
 */
export function prometheusText(sources: Sources, options: PrometheusOptions = {}): string {
  const { labels = {}, openMetrics = false } = options;
  checkLabels(labels);
  const samples = new Map(collect(sources));
  const lines: string[] = [];
  for (const instrument of Object.values<Instrument>(INSTRUMENTS)) {
    const found = samples.get(instrument);
    if (found === undefined) continue;
    lines.push(...headOf(instrument, openMetrics));
    for (const sample of found) lines.push(...linesOf(instrument, sample, { labels, openMetrics }));
  }
  if (openMetrics) lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function headOf(instrument: Instrument, openMetrics: boolean): string[] {
  const { kind, unit, help } = instrument;
  const name = prometheusName(instrument);
  const family = openMetrics && kind === 'counter' ? name.slice(0, -'_total'.length) : name;
  const head = [`# HELP ${family} ${help}`, `# TYPE ${family} ${kind}`];
  if (openMetrics && unit !== undefined) head.push(`# UNIT ${family} seconds`);
  return head;
}

function linesOf(instrument: Instrument, sample: Sample, options: Required<PrometheusOptions>): string[] {
  const name = prometheusName(instrument);
  const labels = labelsOf({ ...options.labels, ...sample.attributes });
  if (instrument.kind !== 'histogram') return [`${name}{${labels}} ${sample.value}`];
  const { durations } = sample;
  const buckets = [];
  for (let power = FIRST_POWER; power <= LAST_POWER; power += 1) {
    const end = 2 ** power;
    const le = options.openMetrics && Number.isInteger(end) ? `${end}.0` : String(end);
    buckets.push(`${name}_bucket{${labels},le="${le}"} ${upTo(durations, power)}`);
  }
  return [
    ...buckets,
    `${name}_bucket{${labels},le="+Inf"} ${durations.count}`,
    `${name}_sum{${labels}} ${durations.sum / 1_000}`,
    `${name}_count{${labels}} ${durations.count}`,
  ];
}

/** How many durations were no longer than 2^`power` seconds. */
function upTo({ buckets }: Durations, power: number): number {
  return buckets.slice(0, (power - LOWEST) * PER_DOUBLING + 1).reduce((sum, count) => sum + count, 0);
}

function labelsOf(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name.replaceAll('.', '_')}="${escaped(value)}"`)
    .join(',');
}

function escaped(value: string): string {
  return readable(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

function checkLabels(labels: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(labels)) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || name.startsWith('__') || OWN_LABELS.has(name))
      throw misuse('labels', 'names of letters, digits and `_` that no figure has itself', name);
    if (typeof value !== 'string') throw misuse(`labels.${name}`, 'a string', value);
  }
}
