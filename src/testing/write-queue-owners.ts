import { systemClock } from '../base/clock.js';
import type { Ownership, WriteQueue } from '../contracts.js';
import { sampleWrite, type WriteQueueChecks } from './write-queue-suite/checks.js';

/** So long that no test sees its end, and so short that a test may wait for it. */
const LONG = 600_000;
const SHORT = 5;
const PATIENCE = 10_000;

/** Registers the tests of a queue that tells its owners apart. */
export function addOwnerTests(checks: WriteQueueChecks): void {
  if (checks.supports.own !== true) return;
  addTakingTests(checks);
  addFormerOwnerTests(checks);
  addLeaseTests(checks);
}

function addTakingTests(checks: WriteQueueChecks): void {
  checks.test('a queue has one owner at a time, who may ask again', async (queue) => {
    await taken(queue, 'first');
    checks.equal(await queue.own?.('second', LONG, false), undefined);
    const again = await taken(queue, 'first');
    await again.put([sampleWrite(1), sampleWrite(2)]);
    await again.remove([sampleWrite(2).id]);
    await checks.holds(queue, [sampleWrite(1)], []);
  });

  checks.test('a released queue is free at once, and holds what was put', async (queue) => {
    const first = await taken(queue, 'first');
    await first.put([sampleWrite(1)]);
    await first.release();
    const second = await taken(queue, 'second');
    await second.put([sampleWrite(2)]);
    await checks.holds(queue, [sampleWrite(1), sampleWrite(2)], []);
  });

  checks.test('the owner is none of the writes', async (queue) => {
    await taken(queue, 'first');
    await checks.holds(queue, [], []);
  });
}

function addFormerOwnerTests(checks: WriteQueueChecks): void {
  checks.test('what a former owner still does is refused, and changes nothing', async (queue) => {
    const first = await taken(queue, 'first');
    await first.put([sampleWrite(1)]);
    await taken(queue, 'second', true);
    await checks.isRefused(() => first.put([sampleWrite(1, { value: 'changed' }), sampleWrite(2)]));
    await checks.isRefused(() => first.remove([sampleWrite(1).id]));
    await checks.holds(queue, [sampleWrite(1)], []);
  });

  checks.test('a former owner is refused also after its successor has left', async (queue) => {
    const first = await taken(queue, 'first');
    const second = await taken(queue, 'second', true);
    await second.release();
    await checks.isRefused(() => first.put([sampleWrite(1)]));
    await checks.holds(queue, [], []);
  });

  checks.test('a former owner ends nothing', async (queue) => {
    const first = await taken(queue, 'first');
    const second = await taken(queue, 'second', true);
    await first.release();
    checks.equal(await queue.own?.('third', LONG, false), undefined);
    await second.put([sampleWrite(1)]);
    await checks.holds(queue, [sampleWrite(1)], []);
  });
}

function addLeaseTests(checks: WriteQueueChecks): void {
  checks.test('an owner that says nothing for its time can be followed, and is refused from then on', async (queue) => {
    const first = await taken(queue, 'first', false, SHORT);
    if (first.renew === undefined) return;
    const second = await followed(queue, 'second');
    await checks.isRefused(() => first.put([sampleWrite(1)]));
    checks.equal(await first.renew(LONG), false);
    await second.put([sampleWrite(2)]);
    await checks.holds(queue, [sampleWrite(2)], []);
  });

  checks.test('an owner whose time is over stays the owner until another one follows', async (queue) => {
    const first = await taken(queue, 'first', false, 0);
    await first.put([sampleWrite(1)]);
    if (first.renew === undefined) return;
    checks.equal(await first.renew(LONG), true);
    checks.equal(await queue.own?.('second', LONG, false), undefined);
    await checks.holds(queue, [sampleWrite(1)], []);
  });
}

async function taken(queue: WriteQueue, owner: string, takeOver = false, ms: number = LONG): Promise<Ownership> {
  const ownership = await queue.own?.(owner, ms, takeOver);
  if (ownership === undefined) throw new Error(`The queue could not be owned by '${owner}'`);
  return ownership;
}

/** Asks until the lease before is over. */
async function followed(queue: WriteQueue, owner: string): Promise<Ownership> {
  const end = systemClock.monotonic() + PATIENCE;
  while (systemClock.monotonic() < end) {
    const ownership = await queue.own?.(owner, LONG, false);
    if (ownership !== undefined) return ownership;
  }
  throw new Error('The lease of an owner that said nothing did not end');
}
