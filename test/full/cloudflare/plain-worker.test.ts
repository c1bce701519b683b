import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startWorker, type StartedWorker, type WorkerRuntime } from '../../support/start-worker.js';

const FIXTURE = new URL('fixtures/plain-worker.ts', import.meta.url);

/** Longer than anything takes here that does not hang. */
const PATIENCE = 2_000;

/** Time for a request that was sent to have reached the Worker, and for a client that left to be missed. */
const ARRIVAL = 200;

/** Longer than a lease, and no more than a while longer. */
const LEASE = 6_000;

const RUNTIMES: readonly WorkerRuntime[] = [
  { compatibilityDate: '2024-10-01', compatibilityFlags: [] },
  { compatibilityDate: '2024-10-01', compatibilityFlags: ['handle_cross_request_promise_resolution'] },
  { compatibilityDate: '2026-10-23', compatibilityFlags: [] },
  { compatibilityDate: '2026-10-23', compatibilityFlags: ['no_handle_cross_request_promise_resolution'] },
];

describe.concurrent.each(RUNTIMES)(
  'a plain Worker of $compatibilityDate $compatibilityFlags',
  { timeout: 30_000 },
  (runtime) => {
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
      await pause(ARRIVAL);
      await client.leave();
      await pause(ARRIVAL);
      load.answer('late');

      await expect(follower).resolves.toBe('hangs');
      await expect(worker.get('/bare?key=bare', PATIENCE)).resolves.toBe('hangs');
      expect(worker.calls('bare')).toHaveLength(1);
    });

    test('a load goes on when the client that caused it leaves', async () => {
      const { client, load } = await leader('/get?', 'left');
      const follower = worker.get('/get?key=left');
      await pause(ARRIVAL);
      await client.leave();
      await pause(ARRIVAL);
      load.answer('loaded');

      await expect(follower).resolves.toBe('"loaded"');
      await expect(worker.get('/get?key=left', PATIENCE)).resolves.toBe('"loaded"');
      expect(worker.calls('left')).toHaveLength(1);
    });

    test('a load goes on by the `waitUntil` of the call alone', async () => {
      const { client, load } = await leader('/get?cache=doomed&hold=1', 'held');
      await client.leave();
      await pause(ARRIVAL);
      load.answer('loaded');
      await expect(worker.get('/get?cache=doomed&key=held', PATIENCE)).resolves.toBe('"loaded"');
      expect(worker.calls('held')).toHaveLength(1);
    });

    test('a load goes on when nobody but the client that left had asked', async () => {
      const { client, load } = await leader('/get?', 'alone');
      await client.leave();
      await pause(ARRIVAL);
      load.answer('loaded');
      await pause(ARRIVAL);

      await expect(worker.get('/get?key=alone', PATIENCE)).resolves.toBe('"loaded"');
      expect(worker.calls('alone')).toHaveLength(1);
    });

    test('a leader that has its answer before the load is over leaves it to the others', async () => {
      const first = worker.get('/get?cache=brief&key=early');
      (await worker.called('early')).answer('old');
      await expect(first).resolves.toBe('"old"');
      await pause(20);

      await expect(worker.get('/get?cache=brief&key=early', PATIENCE)).resolves.toBe('"old"');
      const follower = worker.get('/get?cache=brief&key=early&maxStale=0');
      await pause(100);
      (await worker.called('early')).answer('new');
      await expect(follower).resolves.toBe('"new"');
      expect(worker.calls('early')).toHaveLength(2);
    });

    test('three who wait for a leader that was ended cost one more load', async () => {
      const { client, load } = await leader('/get?cache=doomed', 'doomed');
      const followers = [1, 2, 3].map(() => worker.get('/get?cache=doomed&key=doomed'));
      await pause(ARRIVAL);
      await client.leave();
      load.answer('for nobody');

      const second = await worker.called('doomed');
      await pause(300);
      second.answer('anew');
      await expect(Promise.all(followers)).resolves.toEqual(Array(3).fill('"anew"'));
      await expect(worker.get('/get?cache=doomed&key=doomed', PATIENCE)).resolves.toBe('"anew"');
      expect(worker.calls('doomed')).toHaveLength(2);
    });

    test('who comes after a leader was ended waits for what is left of its lease at most', async () => {
      const { client } = await leader('/get?cache=doomed', 'later');
      await client.leave();
      const other = worker.get('/get?cache=doomed&key=other', PATIENCE);
      (await worker.called('other')).answer('not affected');
      await expect(other).resolves.toBe('"not affected"');

      await pause(LEASE);
      const after = worker.get('/get?cache=doomed&key=later', PATIENCE);
      (await worker.called('later')).answer('at once');
      await expect(after).resolves.toBe('"at once"');
      expect(worker.calls('later')).toHaveLength(2);
    });

    test('a leader that was ended while it reloaded in the background holds up nobody', async () => {
      const first = worker.get('/get?cache=doomedBrief&key=behind');
      (await worker.called('behind')).answer('old');
      await first;
      await pause(20);

      // Answered as soon as its reload is under way, which ends with the request.
      await expect(worker.get('/get?cache=doomedBrief&key=behind&linger=200', PATIENCE)).resolves.toBe('"old"');
      (await worker.called('behind')).answer('for nobody');
      await pause(ARRIVAL);
      await expect(worker.get('/get?cache=doomedBrief&key=behind', PATIENCE)).resolves.toBe('"old"');

      const fresh = worker.get('/get?cache=doomedBrief&key=behind&maxStale=0', LEASE);
      (await worker.called('behind')).answer('new');
      await expect(fresh).resolves.toBe('"new"');
      expect(worker.calls('behind')).toHaveLength(3);
    });

    test('guards get back what a leader held that was ended', async () => {
      const { client } = await leader('/get?cache=narrow', 'narrow');
      await client.leave();
      await expect(worker.get('/get?cache=narrow&key=more', PATIENCE)).resolves.toContain('TooManyFlightsError');
      await expect(worker.get('/stats?cache=narrow').then(JSON.parse)).resolves.toMatchObject({ inFlight: 1 });

      await expect(worker.get('/idle?cache=narrow', LEASE)).resolves.toBe('"idle"');
      await expect(worker.get('/stats?cache=narrow').then(JSON.parse)).resolves.toMatchObject({ inFlight: 0 });
      const more = worker.get('/get?cache=narrow&key=more', PATIENCE);
      (await worker.called('more')).answer('room again');
      await expect(more).resolves.toBe('"room again"');
    });

    test('a load that takes too long ends for all at `maxDuration`', async () => {
      const { client } = await leader('/get?cache=short', 'slow');
      await expect(worker.get('/get?cache=short&key=slow', PATIENCE)).resolves.toContain('FlightTimeoutError');
      await client.leave();

      const doomed = await leader('/get?cache=doomedShort', 'gone');
      const follower = worker.get('/get?cache=doomedShort&key=gone', PATIENCE);
      await pause(ARRIVAL);
      await doomed.client.leave();
      (await worker.called('gone')).answer('taken over');
      await expect(follower).resolves.toBe('"taken over"');
    });

    test('a follower goes on in its own request', async () => {
      const led = worker.get('/get?key=io');
      const load = await worker.called('io');
      const followers = [1, 2].map(() => worker.get('/then-io?key=io', 5_000));
      await pause(ARRIVAL);
      load.answer('value');
      await expect(led).resolves.toBe('"value"');
      await pause(ARRIVAL); // The leader's request is over; what the followers do now is their own.
      for (const _ of followers) (await worker.called('io afterwards')).answer('more');
      await expect(Promise.all(followers)).resolves.toEqual(Array(2).fill('["value","more"]'));
    });

    test("a limited patience is one's own", async () => {
      const { load } = await leader('/get?', 'patience');
      await expect(worker.get('/get?key=patience&timeout=100', PATIENCE)).resolves.toContain('CallerTimeoutError');
      const patient = worker.get('/get?key=patience&timeout=5000');
      await pause(ARRIVAL);
      load.answer('in time');
      await expect(patient).resolves.toBe('"in time"');
    });

    test('a write to storage is finished although the client that caused it left', async () => {
      const { client, load } = await leader('/get?cache=stored', 'stored');
      await client.leave();
      await pause(ARRIVAL);
      load.answer('kept');
      await expect(worker.get('/get?cache=stored&key=stored', PATIENCE)).resolves.toBe('"kept"');
      await expect(worker.get('/idle?cache=stored', PATIENCE)).resolves.toBe('"idle"');
      await expect(worker.get('/get?cache=stored&key=stored', PATIENCE)).resolves.toBe('"kept"');
      expect(worker.calls('stored')).toHaveLength(1);
    });

    test('keys are gathered for one load within a request only', async () => {
      const leaving = await worker.open('/many?cache=many&key=a,b');
      const staying = worker.get('/many?cache=many&key=c,d', PATIENCE);
      await worker.called('a,b');
      const load = await worker.called('c,d');
      await leaving.leave();
      load.answer('of');
      await expect(staying).resolves.toBe('["of c","of d"]');
    });

    test.each(['churn', 'doomedChurn'])('where clients come and go nobody hangs (%s)', async (cache) => {
      const staying: Promise<string>[] = [];
      const leaving: Promise<void>[] = [];
      for (let turn = 0; turn < 200; turn += 1) {
        const path = `/get?cache=${cache}&key=auto-${cache}-${turn % 3}`;
        if (turn % 3 === turn % 7) leaving.push(worker.open(path).then((client) => client.leave(turn % 30)));
        else staying.push(worker.get(path));
        await pause(5);
      }
      await Promise.all(leaving);

      const answers = new Set(await Promise.all(staying));
      expect([...answers].sort()).toEqual([0, 1, 2].map((key) => `"auto-${cache}-${key}"`));
      await expect(worker.get(`/idle?cache=${cache}`, LEASE)).resolves.toBe('"idle"');
      expect(worker.complaints).toEqual([]);
    });

    test('a Response is no value that requests can share', async () => {
      const led = worker.get('/get?key=response', PATIENCE);
      const followed = worker.get('/get?key=response', PATIENCE);
      const load = await worker.called('response');
      await pause(ARRIVAL);
      load.answer('body');
      const told = expect.stringMatching(/TypeError: Expected `value` to be plain data, not a Response/);
      await expect(Promise.all([led, followed])).resolves.toEqual([told, told]);
    });
  },
);

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
