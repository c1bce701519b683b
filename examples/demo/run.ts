import type { ChildProcess } from 'node:child_process';

import type { LoadOptions } from './load.ts';
import { measure } from './measurement.ts';
import type { Measurement } from './measurement.ts';
import { now } from './messages.ts';
import { command, heard, onMessage, Processes } from './processes.ts';
import type { Scenario } from './scenarios.ts';
import type { ServerOptions } from './server.ts';
import type { Way } from './ways.ts';

/** The progress of one way. */
export interface Progress {
  readonly way: Way;
  readonly queries: number;
  readonly failed: number;
}

interface RunOptions {
  /** The SQLite file. */
  readonly database: string;
  readonly ways: readonly Way[];
  /** Called ten times a second for each way that runs. */
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the run and its processes. */
  readonly signal?: AbortSignal;
}

/** Runs `scenario` in each of the given ways, and measures them. */
export async function run(scenario: Scenario, options: RunOptions): Promise<Measurement[]> {
  const turns = scenario.together ? [options.ways] : options.ways.map((way) => [way]);
  const measurements: Measurement[] = [];
  for (const ways of turns) measurements.push(...(await runTogether(scenario, ways, options)));
  return measurements;
}

async function runTogether(scenario: Scenario, ways: readonly Way[], options: RunOptions): Promise<Measurement[]> {
  const processes = new Processes(options.signal);
  const conductAll = async (): Promise<Measurement[]> => {
    const trials = await Promise.all(ways.map((way) => prepare(scenario, way, options.database, processes)));
    const startAt = now() + 100;
    return Promise.all(trials.map((trial) => conduct(trial, startAt, scenario, options)));
  };

  try {
    return await Promise.race([conductAll(), processes.mishap]);
  } finally {
    await processes.end();
  }
}

/** A server and its load, ready to start. */
interface Trial {
  readonly way: Way;
  readonly server: ChildProcess;
  readonly load: ChildProcess;
}

async function prepare(scenario: Scenario, way: Way, database: string, processes: Processes): Promise<Trial> {
  const { requests, over, posts, ttl } = scenario;
  const server = processes.start('server.ts', { way, database, ttl } satisfies ServerOptions);
  const { port } = await heard(server, 'listening');
  const load = processes.start('load.ts', { port, requests, over, posts } satisfies LoadOptions);
  await heard(load, 'ready');
  return { way, server, load };
}

async function conduct(trial: Trial, startAt: number, { outage }: Scenario, options: RunOptions): Promise<Measurement> {
  const { way, server, load } = trial;
  let failed = 0;
  onMessage(load, 'failing', (news) => ({ failed } = news));
  onMessage(server, 'queried', ({ queries }) => options.onProgress?.({ way, queries, failed }));

  if (outage) command(server, { kind: 'outage', from: startAt + outage.from, to: startAt + outage.to });
  command(load, { kind: 'start', at: startAt });
  const done = await heard(load, 'done');
  command(server, { kind: 'report' });
  const { queries } = await heard(server, 'report');
  return measure(way, startAt, queries, done.load);
}
