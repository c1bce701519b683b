import { cpus, totalmem, type CpuInfo } from 'node:os';

import type { Candidate } from './candidate.ts';
import type { Column, Question, Table } from './question.ts';
import { median } from './rounds.ts';

/** What became of one candidate at one variant of a question. */
export type Outcome = { readonly findings: Readonly<Record<string, readonly number[]>> } | 'does not finish' | 'failed';

export interface Row {
  readonly id: string;
  readonly candidate: Candidate;
}

/** All outcomes of one question: by candidate, then by variant. */
export interface Answers {
  readonly question: Question;
  readonly rows: readonly Row[];
  readonly outcomes: ReadonlyMap<string, ReadonlyMap<string, Outcome>>;
}

export function machine(): string {
  const [cpu] = cpus() as [CpuInfo, ...CpuInfo[]];
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpu.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}`;
}

/** The figure of a cell, if there is one. */
export function figureOf({ outcomes }: Answers, id: string, variant: string, figure: string): number | undefined {
  const outcome = outcomes.get(id)?.get(variant);
  if (outcome === undefined || typeof outcome === 'string') return undefined;
  const samples = outcome.findings[figure];
  return samples === undefined || samples.length === 0 ? undefined : median(samples);
}

/** The section of one question. */
export function section(answers: Answers): string {
  const { question, rows } = answers;
  const unable = new Map<string, string[]>();
  for (const { candidate } of rows) {
    const why = question.unable(candidate);
    if (why !== undefined && candidate.kind === 'peer') unable.set(why, [...(unable.get(why) ?? []), candidate.name]);
  }
  const notes = [...unable].map(
    ([why, names]) => `"-": ${names.join(', ')} ${names.length === 1 ? 'does' : 'do'} not ${why}.`,
  );
  return [
    `## ${question.title}`,
    question.method,
    ...question.tables.map((table) => tableOf(answers, table)),
    ...notes,
  ].join('\n\n');
}

/** What was set on whom. */
export function setups(rows: readonly Row[]): string {
  const lines = rows
    .filter(({ candidate }) => candidate.setup !== undefined)
    .map(({ candidate }) => `- ${candidate.name}: ${candidate.setup}.`);
  return ['## How each was set up', 'Beside the ttl and the size that the question asks for:', lines.join('\n')].join(
    '\n\n',
  );
}

function tableOf(answers: Answers, { caption, columns }: Table): string {
  // Floors and parts of ours that a question is not about are left out; a peer that can't take part keeps its row.
  const rows = answers.rows.filter(
    ({ candidate }) => candidate.kind === 'peer' || answers.question.unable(candidate) === undefined,
  );
  const lines = [
    `| ${['', ...columns.map(({ heading }) => heading)].join(' | ')} |`,
    `| ${['---', ...columns.map(() => '---:')].join(' | ')} |`,
    ...rows.map((row) => `| ${[nameOf(row), ...columns.map((column) => cell(answers, row, column))].join(' | ')} |`),
  ];
  return [...(caption === undefined ? [] : [`${caption}:`, '']), ...lines].join('\n');
}

function nameOf({ candidate }: Row): string {
  return candidate.kind === 'ours' ? `**${candidate.name}**` : candidate.name;
}

function cell(answers: Answers, { id, candidate }: Row, column: Column): string {
  const outcome = answers.outcomes.get(id)?.get(column.variant);
  if (typeof outcome === 'string') return outcome;
  const figure = figureOf(answers, id, column.variant, column.figure);
  if (figure === undefined) return '-';
  const target = column.targets?.[id];
  const shown = column.show(figure);
  return candidate.kind === 'ours' ? `**${shown}**${target === undefined ? '' : ` (target ${target})`}` : shown;
}
