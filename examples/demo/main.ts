import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';

import { chart } from './chart.ts';
import type { Outcome } from './chart.ts';
import { LiveProgress } from './progress.ts';
import { run } from './run.ts';
import type { Progress } from './run.ts';
import { scenarios } from './scenarios.ts';
import { count, table, time } from './table.ts';
import type { Way } from './ways.ts';

const POSTS = 10_000;
const WAYS: readonly Way[] = ['no protection', 'cache only', 'soloflight'];
const CHART = fileURLToPath(new URL('latest.svg', import.meta.url));

if (!isBuiltin('node:sqlite')) {
  stop(`Node ${process.versions.node} has no \`node:sqlite\`, which the demo needs. Use Node 24 or later`);
}
if (!existsSync(fileURLToPath(import.meta.resolve('soloflight')))) {
  stop('The package is not built. Use `npm run demo`, which builds it');
}

const folder = mkdtempSync(join(tmpdir(), 'soloflight-demo-'));
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort());

try {
  process.exitCode = (await demonstrate(folder, interruption.signal)) ? 0 : 1;
} catch (error) {
  if (!interruption.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs all scenarios, and tells whether soloflight kept its promises. */
async function demonstrate(folder: string, signal: AbortSignal): Promise<boolean> {
  const database = join(folder, 'posts.db');
  // Imported late: without `node:sqlite` the module can't even be loaded.
  const { createDatabase } = await import('./database.ts');
  const began = performance.now();
  const comments = createDatabase(database, POSTS);
  const took = time(performance.now() - began);
  print(`Created a SQLite database of ${count(POSTS)} posts and ${count(comments)} comments in ${took}.`);

  const outcomes: Outcome[] = [];
  const broken: string[] = [];
  for (const scenario of scenarios) {
    print(`\n${styleText('bold', scenario.title)}: ${scenario.story}`);
    const progress = new LiveProgress(process.stdout, WAYS);
    const onProgress = (news: Progress): void => progress.update(news);
    const measurements = await run(scenario, { database, ways: WAYS, onProgress, signal });
    progress.clear();
    print(table(measurements));

    const seconds = Math.max(...measurements.map(({ sentWithin }) => sentWithin)) / 1_000;
    print(styleText('dim', `  ${count(scenario.requests)} requests each way, sent within ${seconds.toFixed(2)} s`));
    const ours = measurements.find(({ way }) => way === 'soloflight');
    if (!ours || !scenario.kept(ours)) broken.push(`${scenario.title}: ${scenario.promise}`);
    outcomes.push({ scenario, measurements });
  }

  writeFileSync(CHART, chart(outcomes));
  print('\nqueries: how often the database was asked, refused or not. failed: requests with an error or no answer.');
  print(`Times include failed requests. The queries over time are drawn in ${relative('', CHART)}`);
  for (const promise of broken) console.error(`Broken promise of soloflight. ${promise}`);
  return broken.length === 0;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function stop(why: string): never {
  console.error(why);
  process.exit(1);
}
