import type { Panel } from './question.ts';
import { figureOf, type Answers, type Row } from './report.ts';

const WIDTH = 860;
const LABELS = 250;
const BARS = 500;
const BAR = 14;
const STEP = 20;
const HEAD = 34;
const GAP = 26;

/** Bars on a logarithmic scale, one panel per question; readable on light and on dark ground. */
export function chart(all: readonly Answers[], subtitle: string): string {
  let top = 74;
  const parts: string[] = [];
  for (const answers of all) {
    for (const panel of answers.question.panels ?? []) {
      const bars = barsOf(answers, panel);
      if (bars.length === 0) continue;
      parts.push(`<g transform="translate(0 ${top})">${drawn(panel, bars)}</g>`);
      top += HEAD + bars.length * STEP + GAP;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img" aria-label="Benchmark results of soloflight and its peers">
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 13px } .head { font-weight: 600; font-size: 16px } .faint { fill: #6e7781 }
.end { text-anchor: end } .peer { fill: #8c959f } .floor { fill: #c6ccd2 } .ours { fill: #0969da } .own { font-weight: 600 }
.line { stroke: #6e7781; stroke-dasharray: 2 3 } .target { stroke: #1a7f37; stroke-width: 2 } .key { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .faint { fill: #9198a1 } .peer { fill: #6e7681 } .floor { fill: #3d444d } .ours { fill: #4493f8 }
.line { stroke: #9198a1 } .target { stroke: #3fb950 } .key { fill: #3fb950 }
}
</style>
<text class="head" x="12" y="24">soloflight and its peers: less is better, logarithmic scale</text>
<text class="faint" x="12" y="44">${escaped(subtitle)}. Dashed: 1 ×. <tspan class="key">Green: our target.</tspan></text>
${parts.join('\n')}
</svg>
`;
}

interface Bar {
  readonly row: Row;
  readonly figure: number | undefined;
}

function barsOf(answers: Answers, { variant, figure }: Panel): Bar[] {
  return answers.rows
    .filter(({ id }) => answers.outcomes.get(id)?.has(variant))
    .map((row) => ({ row, figure: figureOf(answers, row.id, variant, figure) }))
    .toSorted((a, b) => (a.figure ?? Infinity) - (b.figure ?? Infinity));
}

function drawn(panel: Panel, bars: readonly Bar[]): string {
  const known = bars.flatMap(({ figure }) => (figure === undefined ? [] : [figure]));
  const low = Math.min(0.5, ...known) / 1.1;
  const high = Math.max(2, ...known);
  const at = (figure: number): number => LABELS + (Math.log(figure / low) / Math.log(high / low)) * BARS;
  const height = bars.length * STEP;
  const mark = (figure: number, style: string): string =>
    `<line class="${style}" x1="${fixed(at(figure))}" x2="${fixed(at(figure))}" y1="${HEAD - 14}" y2="${HEAD - 10 + height}"/>`;

  const rows = bars.map(({ row: { candidate }, figure }, i) => {
    const y = HEAD - 10 + i * STEP;
    const name = `<text class="end${candidate.kind === 'ours' ? ' own' : ''}" x="${LABELS - 8}" y="${y + 11}">${escaped(candidate.name.replaceAll('`', ''))}</text>`;
    // Figures stand in a column of their own, out of the way of the vertical lines.
    const value = figure === undefined ? 'does not finish' : figure < 10 ? figure.toFixed(2) : figure.toFixed(0);
    const shown = `<text class="end${figure === undefined ? ' faint' : ''}" x="${WIDTH - 12}" y="${y + 11}">${value}</text>`;
    if (figure === undefined) return name + shown;
    const width = fixed(Math.max(1, at(figure) - LABELS));
    return `${name}<rect class="${candidate.kind}" x="${LABELS}" y="${y}" width="${width}" height="${BAR}" rx="2"/>${shown}`;
  });
  return [
    `<text class="title" x="12" y="6">${escaped(panel.title)}</text>`,
    ...rows,
    mark(1, 'line'),
    ...(panel.target === undefined ? [] : [mark(panel.target, 'target')]),
  ].join('');
}

function fixed(figure: number): string {
  return figure.toFixed(1);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
