import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

import { SELECT_POST } from './database.ts';
import type { Post } from './database.ts';
import type { Answer, ConnectionsOptions, DatabaseState } from './pool.ts';

/*
 * The far ends of the pool's connections, in a thread beside the server: `node:sqlite` is synchronous and would hold it up.
 * A file on this machine answers in well under a millisecond; a database across a network, under load, does not. So each
 * query runs the real SELECT and then keeps its connection for the time that network and disk would take.
 */

/** Milliseconds. Half of all queries take longer than the median, one in twenty longer than 1.6 times the median. */
const MEDIAN_COST = 28;
const SPREAD = 0.3;
/** Milliseconds until an unreachable database refuses. */
const REFUSAL = 5;

const { file, ports } = workerData as ConnectionsOptions;
/** Aborted while the database is down. */
let outage = new AbortController();

for (const port of ports) {
  const select = new DatabaseSync(file, { readOnly: true }).prepare(SELECT_POST);
  const reply = async (id: string): Promise<void> => port.postMessage(await answer(select, id));
  port.on('message', (id: string) => void reply(id));
}
parentPort?.on('message', (state: DatabaseState) => {
  if (state === 'down') outage.abort();
  else outage = new AbortController();
});
parentPort?.postMessage('open');

async function answer(select: StatementSync, id: string): Promise<Answer> {
  const { signal } = outage;
  if (signal.aborted) {
    await setTimeout(REFUSAL);
    return { failure: 'connect ECONNREFUSED' };
  }
  const post = select.get(id) as Post | undefined;
  try {
    await setTimeout(cost(), undefined, { signal });
    return { post };
  } catch {
    return { failure: 'Connection terminated unexpectedly' };
  }
}

/** A log-normal draw: most queries take about the median, a few much longer. */
function cost(): number {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return MEDIAN_COST * Math.exp(SPREAD * normal);
}
