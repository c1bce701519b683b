import { TENTH } from './measurement.ts';
import type { Measurement } from './measurement.ts';
import type { Scenario } from './scenarios.ts';
import { count, time } from './table.ts';
import type { Way } from './ways.ts';

/** One scenario and the result of each way. */
export interface Outcome {
  readonly scenario: Scenario;
  readonly measurements: readonly Measurement[];
}

/* Pixels. A panel per scenario, in it a strip per way; all strips have the same scale upwards. */
const WIDTH = 960;
const MARGIN = 28;
const HEADER = 84;
const PLOT = { left: 158, width: 570 };
const STRIP = { height: 46, gap: 12 };
const PANEL = { heading: 50, axis: 46 };

const CLASSES: Record<Way, string> = { 'no protection': 'none', 'cache only': 'cache', soloflight: 'solo' };

const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; fill: #1f2328; }
  .page { fill: #ffffff; }
  .title { font-size: 20px; font-weight: 600; }
  .heading { font-size: 15px; font-weight: 600; }
  .figure { font-weight: 600; }
  .quiet { fill: #656d76; }
  .small { font-size: 11px; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .line { stroke: #d0d7de; fill: none; }
  .faint { stroke: #eaeef2; fill: none; }
  .down { fill: #ffffff; fill-opacity: 0.6; stroke: #cf222e; stroke-opacity: 0.5; stroke-dasharray: 3 3; }
  .none { fill: #cf222e; }
  .cache { fill: #b26a00; }
  .solo { fill: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .quiet { fill: #9198a1; }
    .line { stroke: #3d444d; }
    .faint { stroke: #21262d; }
    .down { fill: #0d1117; stroke: #ff7b72; }
    .none { fill: #ff7b72; }
    .cache { fill: #e3a008; }
    .solo { fill: #4ac26b; }
  }`;

/** Queries per tenth of a second for each scenario and way, as an SVG for light and dark pages. */
export function chart(outcomes: readonly Outcome[]): string {
  const busiest = Math.max(
    1,
    ...outcomes.flatMap(({ measurements }) => measurements.flatMap(({ timeline }) => timeline)),
  );
  const top = Math.ceil(busiest / 10) * 10;
  let y = HEADER;
  const panels = outcomes.map((outcome) => {
    const panel = `<g transform="translate(0 ${y})">${panelOf(outcome, top)}</g>`;
    y += panelHeight(outcome);
    return panel;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-labelledby="title description">
<title id="title">Queries that reach the database</title>
<desc id="description">${escape(outcomes.map(describe).join(' '))}</desc>
<style>${STYLE}
</style>
<rect class="page" width="${WIDTH}" height="${y}" rx="8"/>
<text class="title" x="${MARGIN}" y="42">Queries that reach the database</text>
<text class="quiet" x="${MARGIN}" y="63">Each bar is a tenth of a second. All strips have the same scale.</text>
${panels.join('\n')}
</svg>
`;
}

function panelHeight({ measurements }: Outcome): number {
  return PANEL.heading + measurements.length * (STRIP.height + STRIP.gap) + PANEL.axis;
}

function panelOf({ scenario, measurements }: Outcome, top: number): string {
  const seconds = Math.ceil(
    Math.max(scenario.over / TENTH, ...measurements.map(({ timeline }) => timeline.length)) / 10,
  );
  const perSecond = PLOT.width / seconds;
  const ceiling = PANEL.heading - 6;
  const floor = PANEL.heading + measurements.length * (STRIP.height + STRIP.gap) - STRIP.gap;
  const parts = [
    `<text class="heading" x="${MARGIN}" y="14">${escape(scenario.title)}</text>`,
    `<text class="quiet" x="${MARGIN}" y="33">${escape(scenario.story)}</text>`,
  ];

  for (let second = 0; second <= seconds; second++) {
    const x = PLOT.left + second * perSecond;
    parts.push(`<path class="faint" d="M${x} ${ceiling}V${floor}"/>`);
    parts.push(`<text class="quiet small middle" x="${x}" y="${floor + 16}">${second} s</text>`);
  }
  parts.push(`<text class="quiet small end" x="${PLOT.left - 8}" y="${PANEL.heading + 4}">${top}</text>`);
  measurements.forEach((measurement, row) => {
    const y = PANEL.heading + row * (STRIP.height + STRIP.gap);
    parts.push(`<g transform="translate(0 ${y})">${stripOf(measurement, perSecond / 10, top)}</g>`);
  });
  if (scenario.outage) {
    const x = PLOT.left + (scenario.outage.from / 1_000) * perSecond;
    const width = ((scenario.outage.to - scenario.outage.from) / 1_000) * perSecond;
    // Drawn over the bars, to pale those of refused queries.
    parts.push(`<rect class="down" x="${x}" y="${ceiling}" width="${width}" height="${floor - ceiling}"/>`);
    parts.push(
      `<text class="small middle" x="${x + width / 2}" y="${floor + 32}">database down, queries are refused</text>`,
    );
  }
  return parts.join('\n');
}

function stripOf({ way, timeline, queries, failed, p99 }: Measurement, barWidth: number, top: number): string {
  const { height } = STRIP;
  const right = PLOT.left + PLOT.width;
  const bars = timeline
    // At least two pixels: a single query is the point of the picture.
    .map((value, tenth) => value && { x: PLOT.left + tenth * barWidth, h: Math.max(2, (value / top) * height) })
    .filter((bar) => bar !== 0)
    .map(({ x, h }) => `M${round(x)} ${height}v${round(-h)}h${round(barWidth - 0.8)}v${round(h)}z`)
    .join('');
  return `<text class="${CLASSES[way]} figure" x="${MARGIN}" y="${height - 16}">${way}</text>
<path class="faint" d="M${PLOT.left} 0H${right}"/><path class="line" d="M${PLOT.left} ${height}H${right}"/>
<path class="${CLASSES[way]}" d="${bars}"/>
<text x="${right + 20}" y="10"><tspan class="figure">${count(queries)}</tspan> ${queries === 1 ? 'query' : 'queries'}</text>
<text x="${right + 20}" y="28"${failed > 0 ? ' class="none"' : ''}><tspan class="figure">${count(failed)}</tspan> failed requests</text>
<text class="quiet" x="${right + 20}" y="46">p99 ${time(p99)}</text>`;
}

function describe({ scenario, measurements }: Outcome): string {
  const ways = measurements.map(
    ({ way, queries, failed }) => `${way} ${count(queries)} queries and ${count(failed)} failed requests`,
  );
  return `${scenario.title}, ${scenario.story}: ${ways.join('; ')}.`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
