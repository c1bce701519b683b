import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { waitPatiently } from '../../support/patience.js';
import { startWorker, type Client, type StartedWorker, type WorkerRuntime } from '../../support/start-worker.js';

const FIXTURE = new URL('fixtures/plain-worker.ts', import.meta.url);

waitPatiently();

/** So long a request is waited for that is to have no answer, milliseconds. */
const PATIENCE = 2_000;

const RUNTIMES: readonly WorkerRuntime[] = [
  { compatibilityDate: '2024-10-01', compatibilityFlags: [] },
  { compatibilityDate: '2024-10-01', compatibilityFlags: ['handle_cross_request_promise_resolution'] },
  { compatibilityDate: '2026-10-23', compatibilityFlags: [] },
  { compatibilityDate: '2026-10-23', compatibilityFlags: ['no_handle_cross_request_promise_resolution'] },
];

describe.concurrent.each(RUNTIMES)('a plain Worker of $compatibilityDate $compatibilityFlags', (runtime) => {
  let worker: StartedWorker;
  beforeAll(async () => {
    worker = await startWorker(FIXTURE, runtime);
  });
  afterAll(() => worker.stop());

  /** A client whose request leads the load of `key`, and that load. */
  async function leader(path: string, key: string) {
    const client = await worker.open(`${path}&key=${key}`);
    return { client, load: await worker.called(key) };
  }

  test('a map of promises hangs for ever for the key whose first client left', async () => {
    const { client, load } = await leader('/bare?', 'bare');
    const follower = worker.get('/bare?key=bare', PATIENCE);
    await worker.arrived('bare', 2);
    await client.leave();
    load.answer('late');

    await expect(follower).resolves.toBe('hangs');
    await expect(worker.get('/bare?key=bare', PATIENCE)).resolves.toBe('hangs');
    expect(worker.calls('bare')).toHaveLength(1);
  });

  test('a load goes on when the client that caused it leaves', async () => {
    const { client, load } = await leader('/get?', 'left');
    const follower = worker.get('/get?key=left');
    await worker.arrived('left', 2);
    await client.leave();
    load.answer('loaded');

    await expect(follower).resolves.toBe('"loaded"');
    await expect(worker.get('/get?key=left')).resolves.toBe('"loaded"');
    expect(worker.calls('left')).toHaveLength(1);
  });

  test('a load goes on by the `waitUntil` of the call alone', async () => {
    const { client, load } = await leader('/get?cache=doomed&hold=1', 'held');
    await client.leave();
    load.answer('loaded');
    await expect(worker.get('/get?cache=doomed&key=held')).resolves.toBe('"loaded"');
    expect(worker.calls('held')).toHaveLength(1);
  });

  test('a load goes on when nobody but the client that left had asked', async () => {
    const { client, load } = await leader('/get?', 'alone');
    await client.leave();
    load.answer('loaded');

    await expect.poll(() => worker.get('/peek?key=alone')).toBe('"loaded"');
    await expect(worker.get('/get?key=alone')).resolves.toBe('"loaded"');
    expect(worker.calls('alone')).toHaveLength(1);
  });

  test('a leader that has its answer before the load is over leaves it to the others', async () => {
    const first = worker.get('/get?cache=brief&key=early');
    (await worker.called('early')).answer('old');
    await expect(first).resolves.toBe('"old"');

    await expect(worker.get('/get?cache=brief&key=early')).resolves.toBe('"old"');
    const follower = worker.get('/get?cache=brief&key=early&maxStale=0');
    await worker.arrived('early', 3);
    (await worker.called('early')).answer('new');
    await expect(follower).resolves.toBe('"new"');
    expect(worker.calls('early')).toHaveLength(2);
  });

  test('three who wait for a leader that was ended cost one more load', async () => {
    const { client, load } = await leader('/get?cache=orphaned', 'orphaned');
    const followers = [1, 2, 3].map(() => worker.get('/get?cache=orphaned&key=orphaned'));
    await worker.arrived('orphaned', 4);
    await client.leave();
    load.answer('for nobody');

    const second = await worker.called('orphaned');
    // Three joined the leader, then two of them the one that took over.
    await expect
      .poll(() => worker.get('/stats?cache=orphaned').then(JSON.parse))
      .toMatchObject({ flights: { joined: 5 } });
    second.answer('anew');
    await expect(Promise.all(followers)).resolves.toEqual(Array(3).fill('"anew"'));
    await expect(worker.get('/get?cache=orphaned&key=orphaned')).resolves.toBe('"anew"');
    expect(worker.calls('orphaned')).toHaveLength(2);
  });

  test('who comes after a leader was ended loads anew, and other keys are not affected', async () => {
    const { client } = await leader('/get?cache=doomed', 'later');
    await client.leave();
    const other = worker.get('/get?cache=doomed&key=other');
    (await worker.called('other')).answer('not affected');
    await expect(other).resolves.toBe('"not affected"');

    const after = worker.get('/get?cache=doomed&key=later');
    (await worker.called('later')).answer('at last');
    await expect(after).resolves.toBe('"at last"');
    expect(worker.calls('later')).toHaveLength(2);
  });

  test('a leader that was ended while it reloaded in the background holds up nobody', async () => {
    const first = worker.get('/get?cache=doomedBrief&key=behind');
    (await worker.called('behind')).answer('old');
    await first;

    // Answered when its reload is under way, which ends with the request.
    const second = worker.get('/get?cache=doomedBrief&key=behind&linger=1');
    const reload = await worker.called('behind');
    (await worker.called('behind lingers')).answer('long enough');
    await expect(second).resolves.toBe('"old"');
    await worker.settled();
    reload.answer('for nobody');
    await expect(worker.get('/get?cache=doomedBrief&key=behind')).resolves.toBe('"old"');

    const fresh = worker.get('/get?cache=doomedBrief&key=behind&maxStale=0');
    (await worker.called('behind')).answer('new');
    await expect(fresh).resolves.toBe('"new"');
  });

  test('guards get back what a leader held that was ended', async () => {
    const { client } = await leader('/get?cache=narrow', 'narrow');
    await expect(worker.get('/get?cache=narrow&key=more')).resolves.toContain('TooManyFlightsError');
    await expect(worker.get('/stats?cache=narrow').then(JSON.parse)).resolves.toMatchObject({ inFlight: 1 });
    await client.leave();

    await expect(worker.get('/idle?cache=narrow')).resolves.toBe('"idle"');
    await expect(worker.get('/stats?cache=narrow').then(JSON.parse)).resolves.toMatchObject({ inFlight: 0 });
    const more = worker.get('/get?cache=narrow&key=more');
    (await worker.called('more')).answer('room again');
    await expect(more).resolves.toBe('"room again"');
  });

  test('a load that takes too long ends for all at `maxDuration`', async () => {
    const { client } = await leader('/get?cache=short', 'slow');
    await expect(worker.get('/get?cache=short&key=slow')).resolves.toContain('FlightTimeoutError');
    await client.leave();

    const doomed = await leader('/get?cache=doomedShort', 'gone');
    const takenOver = worker.called('gone').then((load) => load.answer('taken over'));
    const follower = worker.get('/get?cache=doomedShort&key=gone');
    await worker.arrived('gone', 2);
    await doomed.client.leave();
    await takenOver;
    await expect(follower).resolves.toBe('"taken over"');
  });

  test('a follower goes on in its own request', async () => {
    const led = worker.get('/get?key=io');
    const load = await worker.called('io');
    const followers = [1, 2].map(() => worker.get('/then-io?key=io'));
    await worker.arrived('io', 3);
    load.answer('value');
    await expect(led).resolves.toBe('"value"');
    await worker.settled(); // The leader's request is over; what the followers do now is their own.
    for (const _ of followers) (await worker.called('io afterwards')).answer('more');
    await expect(Promise.all(followers)).resolves.toEqual(Array(2).fill('["value","more"]'));
  });

  test("a limited patience is one's own", async () => {
    const { load } = await leader('/get?', 'patience');
    await expect(worker.get('/get?key=patience&timeout=100')).resolves.toContain('CallerTimeoutError');
    const patient = worker.get('/get?key=patience&timeout=600000');
    await worker.arrived('patience', 3);
    load.answer('in time');
    await expect(patient).resolves.toBe('"in time"');
  });

  test('a write to storage is finished although the client that caused it left', async () => {
    const { client, load } = await leader('/get?cache=stored', 'stored');
    await client.leave();
    load.answer('kept');
    await expect(worker.get('/get?cache=stored&key=stored')).resolves.toBe('"kept"');
    await expect(worker.get('/idle?cache=stored')).resolves.toBe('"idle"');
    await expect(worker.get('/get?cache=stored&key=stored')).resolves.toBe('"kept"');
    expect(worker.calls('stored')).toHaveLength(1);
  });

  test('a request that was ended while it told others of a change holds up nobody, and the change is told', async () => {
    const ended = await worker.open('/invalidate?cache=told&key=first');
    await worker.called('told tells first');
    await ended.leave();
    const joined = await worker.open('/invalidate?cache=told&key=second');
    await worker.arrived('second', 1);
    await joined.leave();

    const third = worker.get('/invalidate?cache=told&key=third');
    (await worker.called('told tells first,second,third')).answer('told');
    await expect(third).resolves.toBe('false');
    const fourth = worker.get('/invalidate?cache=told&key=fourth');
    (await worker.called('told tells fourth')).answer('told');
    await expect(fourth).resolves.toBe('false');
  });

  test('a request that was ended while it began to listen holds up nobody', async () => {
    const ended = await worker.open('/get?cache=deaf&key=deaf');
    await worker.called('deaf listens');
    const waiting = worker.get('/get?cache=deaf&key=waiting');
    await worker.arrived('waiting', 1);
    await ended.leave();

    (await worker.called('waiting')).answer('not held up');
    await expect(waiting).resolves.toBe('"not held up"');
    const next = worker.get('/get?cache=deaf&key=next');
    (await worker.called('next')).answer('neither');
    await expect(next).resolves.toBe('"neither"');
  });

  test('a request that was ended while it planted a marker holds up nobody', async () => {
    const ended = await worker.open('/get?cache=forgetful&key=forgetful');
    await worker.called('forgetful marker');
    await ended.leave();

    const next = worker.get('/get?cache=forgetful&key=more%20forgetful');
    (await worker.called('more forgetful')).answer('loaded');
    await expect(next).resolves.toBe('"loaded"');
  });

  test('keys are gathered for one load within a request only', async () => {
    const leaving = await worker.open('/many?cache=many&key=a,b');
    const staying = worker.get('/many?cache=many&key=c,d');
    await worker.called('a,b');
    const load = await worker.called('c,d');
    await leaving.leave();
    load.answer('of');
    await expect(staying).resolves.toBe('["of c","of d"]');
  });

  test.each(['churn', 'doomedChurn'])('where clients come and go nobody hangs (%s)', async (cache) => {
    const staying: Promise<string>[] = [];
    const leaving: { readonly client: Promise<Client>; readonly turn: number }[] = [];
    for (let turn = 0; turn < 200; turn += 1) {
      const path = `/get?cache=${cache}&key=${cache}-${turn % 3}`;
      if (turn % 3 === turn % 7) leaving.push({ client: worker.open(path), turn: turn + (turn % 5) });
      else staying.push(worker.get(path));
      if (turn % 4 === 0) worker.answerWaiting(cache);
      while (leaving[0] !== undefined && leaving[0].turn <= turn) await (await leaving.shift()!.client).leave();
    }
    for (const { client } of leaving) await (await client).leave();

    const state = { isOver: false };
    const answers = Promise.all(staying).finally(() => (state.isOver = true));
    while (!state.isOver) {
      await worker.settled();
      worker.answerWaiting(cache);
    }
    expect([...new Set(await answers)].sort()).toEqual([0, 1, 2].map((key) => `"${cache}-${key}"`));
    await expect(worker.get(`/idle?cache=${cache}`)).resolves.toBe('"idle"');
    expect(worker.complaints).toEqual([]);
  });

  test('a Response is no value that requests can share', async () => {
    const led = worker.get('/get?key=response');
    const followed = worker.get('/get?key=response');
    const load = await worker.called('response');
    await worker.arrived('response', 2);
    load.answer('body');
    const told = expect.stringMatching(/TypeError: Expected `value` to be plain data, not a Response/);
    await expect(Promise.all([led, followed])).resolves.toEqual([told, told]);
  });
});
