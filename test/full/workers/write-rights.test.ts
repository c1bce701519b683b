import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, test } from 'vitest';

import { durableCache } from '../../../src/cloudflare/index.js';
import { eventually, waitPatiently } from '../../support/patience.js';
import { connectSocket, type SocketClient } from '../../workers/connect-socket.js';
import { openMainDatabase, type MainDatabase } from '../../workers/main-database.js';
import { script } from '../../workers/script.js';
import type { WritingObject } from '../../workers/worker.js';

waitPatiently();

type Stub = DurableObjectStub<WritingObject>;
type Writes = typeof script.writes;

let database: MainDatabase;
let objects = 0;

beforeEach(() => {
  database = openMainDatabase();
  allow({ authorize: ({ headers }) => headers.get('authorization') ?? false });
});

function allow(writes: Partial<Writes>): void {
  script.writes = { ...script.writes, apply: (current, change) => ({ ...current, ...(change as object) }), ...writes };
}

function open(): Stub {
  return env.WRITING.getByName(`rights-${(objects += 1)}`);
}

const connect = (stub: Stub, name = 'ann', query = '?key=k'): Promise<SocketClient> => connectSocket(stub, name, query);

const ask = async (stub: Stub, method: string, name = 'ann', body?: string): Promise<number> => {
  const response = await stub.fetch('http://object/?key=k', {
    ...{ method, headers: { authorization: name, 'content-type': 'application/json' } },
    ...(body === undefined ? {} : { body }),
  });
  await response.arrayBuffer();
  return response.status;
};

/** The message that answers `id`. */
async function answerTo(client: SocketClient, id: number): Promise<{ type: string; error?: { code: string } }> {
  const find = (): unknown => client.heard.find((message) => (message as { id?: number }).id === id);
  await eventually(() => expect(find()).toBeDefined());
  return find() as never;
}

describe('a socket', () => {
  test.each([
    ['a set', { type: 'set', value: { by: 'a stranger' } }],
    ['an update', { type: 'update', change: { by: 'a stranger' } }],
    ['a delete', { type: 'delete' }],
  ])('opened for one key writes no other: %s', async (_case, message) => {
    const stub = open();
    await stub.set('other', { name: 'theirs' });
    const ann = await connect(stub);

    ann.say({ ...message, id: 1, key: 'other' });

    expect(await answerTo(ann, 1)).toMatchObject({ type: 'error', error: { code: 'NOT_AUTHORIZED' } });
    expect(await stub.get('other')).toEqual({ name: 'theirs' });
    await evictDurableObject(stub);
    ann.say({ ...message, id: 2, key: 'other' });
    expect(await answerTo(ann, 2)).toMatchObject({ type: 'error', error: { code: 'NOT_AUTHORIZED' } });
    expect(await stub.get('other')).toEqual({ name: 'theirs' });
  });

  test('opened for one key hears of no other', async () => {
    const stub = open();
    const ann = await connect(stub);

    await stub.set('other', { secret: 1 });
    await stub.set('k', { public: 1 });

    await ann.hears(1);
    expect(ann.heard).toMatchObject([{ type: 'change', key: 'k' }]);
  });

  test.each([
    ['none', ''],
    ['two', '?key=a&key=b'],
    ['too long a one', `?key=${'x'.repeat(2_049)}`],
  ])('is not opened for no key, or for several at once: %s', async (_case, query) => {
    const response = await open().fetch(`http://object/${query}`, {
      headers: { upgrade: 'websocket', authorization: 'ann' },
    });

    expect([response.status, response.webSocket]).toEqual([400, null]);
    expect(await response.json()).toMatchObject({ error: { code: 'BAD_KEY' } });
  });

  test('writes and hears of the keys that `authorize` says', async () => {
    allow({ authorize: () => ({ name: 'ann', keys: ['a', 'b'] }) });
    const stub = open();
    const ann = await connect(stub, 'ann', '');
    for (const [id, key] of ['a', 'b', 'k'].entries()) ann.say({ id, type: 'set', key, value: { id } });

    const types = [await answerTo(ann, 0), await answerTo(ann, 1), await answerTo(ann, 2)].map(({ type }) => type);

    expect(types).toEqual(['accepted', 'accepted', 'error']);
    expect(ann.heard.filter((message) => (message as { type: string }).type === 'change')).toHaveLength(2);
  });

  test('writes and hears of all keys where `authorize` says so', async () => {
    allow({ authorize: () => ({ keys: 'all' }) });
    const stub = open();
    const ann = await connect(stub, 'ann', '');
    ann.say({ id: 1, type: 'set', key: 'any', value: {} });

    expect(await answerTo(ann, 1)).toMatchObject({ type: 'accepted' });
    expect(ann.heard).toMatchObject([{ type: 'change', key: 'any' }, {}]);
  });

  test('that may only read hears changes and makes none, also after hibernation', async () => {
    allow({ authorize: () => ({ readOnly: true }) });
    const stub = open();
    const ann = await connect(stub);
    await evictDurableObject(stub);
    ann.say({ id: 1, type: 'delete', key: 'k' });

    expect(await answerTo(ann, 1)).toMatchObject({ type: 'error', error: { code: 'NOT_AUTHORIZED' } });
    await stub.set('k', { version: 1 });
    await ann.hears(2);
    expect(ann.heard.at(-1)).toMatchObject({ type: 'change', key: 'k', value: { version: 1 } });
  });

  test('with the longest name and key is connected and keeps both', async () => {
    const [name, key] = ['é'.repeat(1_024), 'k'.repeat(2_048)];
    const clients: unknown[] = [];
    allow({ authorize: () => name, authorizeWrite: ({ client }) => clients.push(client) > 0 });
    const ann = await connect(open(), 'ann', `?key=${key}`);
    ann.say({ id: 1, type: 'set', key, value: {} });

    expect(await answerTo(ann, 1)).toMatchObject({ type: 'accepted' });
    expect(clients).toEqual([name]);
  });

  test('of a version that bound no sockets is closed instead of trusted', async () => {
    const stub = open();
    const [ann, bob] = [await connect(stub), await connect(stub)];
    await runInDurableObject(stub, (_object, state) => {
      for (const socket of state.getWebSockets()) socket.serializeAttachment({ left: 100, at: 0 });
    });
    ann.say({ id: 1, type: 'delete', key: 'k' });
    await eventually(() => expect(ann.closed).toEqual([1012]));

    await stub.set('k', { version: 1 });

    await eventually(() => expect(bob.closed).toEqual([1012]));
    expect([ann.heard, bob.heard]).toEqual([[], []]);
  });
});

describe('`authorizeWrite`', () => {
  test('sees each write with its client, by WebSocket and HTTP, and refuses what it will', async () => {
    const seen: unknown[] = [];
    allow({
      authorizeWrite: async (write) => {
        seen.push(write);
        return write.type === 'update';
      },
    });
    const stub = open();
    const ann = await connect(stub);
    ann.say({ id: 1, type: 'set', key: 'k', value: { version: 1 } });
    ann.say({ id: 2, type: 'update', key: 'k', change: { version: 2 } });
    ann.say({ id: 3, type: 'delete', key: 'k' });

    const answers = [await answerTo(ann, 1), await answerTo(ann, 2), await answerTo(ann, 3)];

    expect(answers.map(({ type }) => type)).toEqual(['error', 'accepted', 'error']);
    expect(answers[2]?.error?.code).toBe('NOT_AUTHORIZED');
    expect([
      await ask(stub, 'DELETE', 'bob'),
      await ask(stub, 'PUT', 'bob', '{"version":3}'),
      await ask(stub, 'PATCH', 'bob', '{"version":4}'),
    ]).toEqual([403, 403, 202]);
    expect(seen).toEqual([
      { type: 'set', key: 'k', value: { version: 1 }, client: 'ann' },
      { type: 'update', key: 'k', value: { version: 2 }, client: 'ann' },
      { type: 'delete', key: 'k', value: undefined, client: 'ann' },
      { type: 'delete', key: 'k', value: undefined, client: 'bob' },
      { type: 'set', key: 'k', value: { version: 3 }, client: 'bob' },
      { type: 'update', key: 'k', value: { version: 4 }, client: 'bob' },
    ]);
    expect(await stub.get('k')).toMatchObject({ version: 4 });
  });

  test.each<[string, () => unknown]>([
    ['something true', () => 'yes'],
    ['nothing', () => undefined],
    ['a promise of false', async () => false],
  ])('lets nothing pass but for `true`: %s', async (_case, authorizeWrite) => {
    allow({ authorizeWrite: authorizeWrite as never });

    expect(await ask(open(), 'DELETE')).toBe(403);
  });

  test('that fails stores nothing, tells the owner, and tells the client to try again', async () => {
    allow({
      authorizeWrite: () => {
        throw new Error('secret reason');
      },
    });
    const stub = open();
    const ann = await connect(stub);
    ann.say({ id: 1, type: 'delete', key: 'k' });

    const { error } = await answerTo(ann, 1);

    expect([error?.code, JSON.stringify(error).includes('secret')]).toEqual(['NOT_AUTHORIZED', false]);
    expect(await ask(stub, 'DELETE')).toBe(503);
    expect(database.errors).toEqual(['Error: secret reason', 'Error: secret reason']);
    expect(await stub.getWriteStatus()).toMatchObject({ pending: 0 });
  });

  test('that takes its time for the first write does not let the second overtake it', async () => {
    const first = Promise.withResolvers<boolean>();
    allow({ authorizeWrite: ({ value }) => ((value as { version: number }).version === 1 ? first.promise : true) });
    const stub = open();
    const ann = await connect(stub);
    ann.say({ id: 1, type: 'set', key: 'k', value: { version: 1 } });
    ann.say({ id: 2, type: 'set', key: 'k', value: { version: 2 } });
    await runInDurableObject(stub, () => first.resolve(true));
    await answerTo(ann, 1);
    await answerTo(ann, 2);

    expect(await stub.get('k')).toEqual({ version: 2 });
  });

  test('is not asked for writes by RPC', async () => {
    allow({ authorizeWrite: () => false });
    const stub = open();
    await stub.set('k', { version: 1 });

    expect(await stub.get('k')).toEqual({ version: 1 });
  });
});

describe('`parse` and `apply`', () => {
  test('know who writes; by RPC there is no client', async () => {
    const clients: unknown[] = [];
    allow({
      parse: (value, _key, client) => {
        clients.push(client);
        return value as object as never;
      },
      apply: (current, _change, _key, client) => {
        clients.push(client);
        return { ...current };
      },
    });
    const stub = open();
    const ann = await connect(stub);
    ann.say({ id: 1, type: 'set', key: 'k', value: {} });
    ann.say({ id: 2, type: 'update', key: 'k', change: {} });
    await answerTo(ann, 2);
    await ask(stub, 'PUT', 'bob', '{}');
    await ask(stub, 'PATCH', 'bob', '{}');
    await stub.update('k', {});

    expect(clients).toEqual(['ann', 'ann', 'bob', 'bob', undefined]);
  });
});

describe('the sockets of a client', () => {
  test('are closed on demand, and only these', async () => {
    const stub = open();
    const [ann, again, bob] = [await connect(stub), await connect(stub), await connect(stub, 'bob')];
    await evictDurableObject(stub);

    expect(await stub.closeSockets('ann')).toBe(2);

    await eventually(() => expect([ann.closed, again.closed]).toEqual([[1008], [1008]]));
    expect(bob.closed).toEqual([]);
    expect(await stub.closeSockets('ann')).toBe(0);
  });

  test('are closed with all others where no client is named, also through `durableCache`', async () => {
    const name = `rights-${(objects += 1)}`;
    const stub = env.WRITING.getByName(name);
    const [ann, bob] = [await connect(stub), await connect(stub, 'bob')];

    expect(await durableCache(env.WRITING, { route: () => name }).closeSockets('k')).toBe(2);

    await eventually(() => expect([ann.closed, bob.closed]).toEqual([[1008], [1008]]));
  });

  test('write nothing any more, though their messages were on the way', async () => {
    let isReached = false;
    const permit = Promise.withResolvers<boolean>();
    allow({ authorizeWrite: () => ((isReached = true), permit.promise) });
    const stub = open();
    const ann = await connect(stub);
    ann.say({ id: 1, type: 'set', key: 'k', value: { version: 1 } });
    await eventually(() => expect(isReached).toBe(true));
    ann.say({ id: 2, type: 'set', key: 'k', value: { version: 2 } });
    await stub.closeSockets('ann');
    await runInDurableObject(stub, () => permit.resolve(true));
    await eventually(() => expect(ann.closed).toEqual([1008]));
    // Somebody else's write, which comes later, is accepted: the turn of the others has passed.
    const bob = await connect(stub, 'bob', '?key=b');
    bob.say({ id: 3, type: 'set', key: 'b', value: {} });

    expect(await answerTo(bob, 3)).toMatchObject({ type: 'accepted' });
    expect(await stub.getWriteStatus()).toMatchObject({ pending: 1 });
  });

  test('are told nothing more', async () => {
    const stub = open();
    const ann = await connect(stub);
    await runInDurableObject<WritingObject, void>(stub, async (object) => {
      const closing = object.closeSockets('ann');
      await object.set('k', { secret: 1 });
      await closing;
    });
    await eventually(() => expect(ann.closed).toEqual([1008]));

    expect(ann.heard).toEqual([]);
  });
});

describe('an HTTP write', () => {
  test('of a client that may only read, or for a key that is not its own, is refused', async () => {
    allow({ authorize: () => ({ readOnly: true }) });
    const readOnly = await ask(open(), 'DELETE');
    allow({ authorize: () => ({ keys: ['other'] }) });

    expect([readOnly, await ask(open(), 'DELETE')]).toEqual([403, 403]);
  });

  test.each([
    ['a misspelt field', { names: 'ann' }],
    ['a name that is none', { name: 1 }],
    ['too long a name', { name: 'x'.repeat(1_025) }],
    ['keys that are no list', { keys: 'k' }],
    ['keys that are no strings', { keys: [1] }],
    ['too long keys', { keys: ['k'.repeat(8_193)] }],
    ['a flag that is none', { readOnly: 'no' }],
  ])('is not taken where `authorize` answers nonsense: %s', async (_case, answer) => {
    allow({ authorize: () => answer as never });

    expect(await ask(open(), 'DELETE')).toBe(503);
    expect(database.errors).toHaveLength(1);
    expect(database.errors[0]).toContain('authorize');
  });
});
