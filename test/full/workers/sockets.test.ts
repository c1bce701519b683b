import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { Connections } from '../../../src/cloudflare/connections.js';
import { tokenOf, WriteConflictError } from '../../../src/cloudflare/index.js';
import { WriteGate } from '../../../src/cloudflare/write-gate.js';
import { resolveWriteOptions } from '../../../src/cloudflare/write-options.js';
import { eventually, waitPatiently } from '../../support/patience.js';
import { connectSocket, type SocketClient } from '../../workers/connect-socket.js';
import { openMainDatabase, type MainDatabase } from '../../workers/main-database.js';
import { script } from '../../workers/script.js';
import type { WritingObject } from '../../workers/worker.js';

waitPatiently();

let database: MainDatabase;
let objects = 0;

beforeEach(() => {
  database = openMainDatabase();
  script.loadNote = () => ({ from: 'upstream' });
  script.writes = {
    ...script.writes,
    authorize: ({ headers }) => headers.get('authorization') === 'ann',
    apply: (current, change, key) => {
      const { base, ...fields } = change as { readonly base?: unknown };
      if (base !== undefined && base !== current?.['name']) throw new WriteConflictError(key, current);
      return { ...current, ...fields };
    },
  };
});

type Stub = DurableObjectStub<WritingObject>;

function open(): Stub {
  return env.WRITING.getByName(`sockets-${(objects += 1)}`);
}

function upgrade(stub: Stub, authorization: string): Promise<Response> {
  return stub.fetch('http://object/?key=k', { headers: { upgrade: 'websocket', authorization } });
}

const connect = (stub: Stub): Promise<SocketClient> => connectSocket(stub, 'ann', '?key=k');

function errorOf(message: unknown): [type: string, code: string] {
  const { type, error } = message as { type: string; error: { code: string; message: string } };
  expect(error.message).not.toMatch(/secret|\.[jt]s\b|\n\s+at /);
  return [type, error.code];
}

const change = (key: string, value: unknown): object =>
  expect.objectContaining({ type: 'change', kind: 'put', key, value });

describe('two who are connected', () => {
  test('see each other’s changes, and those by RPC', async () => {
    const stub = open();
    const [ann, bob] = [await connect(stub), await connect(stub)];

    ann.say({ id: 1, type: 'set', key: 'k', value: { name: 'by ann' } });
    await bob.hears(1);
    bob.say({ id: 'b', type: 'update', key: 'k', change: { mail: 'by bob' } });
    await ann.hears(3);
    await stub.set('k', { name: 'by RPC' });
    await stub.delete('k');

    const changes = [
      change('k', { name: 'by ann' }),
      change('k', { name: 'by ann', mail: 'by bob' }),
      change('k', { name: 'by RPC' }),
      { type: 'change', kind: 'delete', key: 'k', at: script.clock.now() },
    ];
    const [first, ...others] = changes;
    expect(await ann.hears(5)).toEqual([first, { type: 'accepted', id: 1, key: 'k' }, ...others]);
    expect((await bob.hears(5)).filter((message) => (message as { type: string }).type === 'change')).toEqual(changes);
    expect(bob.heard).toContainEqual({
      ...{ type: 'accepted', id: 'b', key: 'k' },
      value: { name: 'by ann', mail: 'by bob' },
    });
  });

  test('still do after the object has hibernated, and nothing is lost', async () => {
    const stub = open();
    const [ann, bob] = [await connect(stub), await connect(stub)];
    ann.say({ type: 'set', key: 'k', value: { version: 1 } });
    await bob.hears(1);

    await evictDurableObject(stub);
    bob.say({ type: 'set', key: 'k', value: { version: 2 } });

    expect((await ann.hears(3)).at(-1)).toEqual(change('k', { version: 2 }));
    await evictDurableObject(stub);
    script.clock.advance(60_000);
    await runDurableObjectAlarm(stub);
    expect(database.batches).toEqual([[['k', { version: 2 }]]]);
    expect([ann.closed, bob.closed]).toEqual([[], []]);
  });

  test('see messages of one connection in their order', async () => {
    const stub = open();
    const [ann, bob] = [await connect(stub), await connect(stub)];
    for (let version = 0; version < 20; version += 1) ann.say({ type: 'set', key: 'k', value: { version } });

    const versions = (await bob.hears(20)).map((message) => (message as { value: { version: number } }).value.version);

    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(await stub.get('k')).toEqual({ version: 19 });
  });

  test('are told when what they saw is not what will be', async () => {
    script.writes = { ...script.writes, sink: (writes) => writes.map(() => ({ reject: 'no such user' })) };
    const stub = open();
    const ann = await connect(stub);
    await stub.set('k', { version: 1 });
    script.clock.advance(60_000);
    await runDurableObjectAlarm(stub);

    expect((await ann.hears(2)).at(-1)).toEqual({ type: 'invalidate', key: 'k' });
  });
});

describe('a connection', () => {
  test.each([
    ['of somebody who is refused', 'bob', 403, 'You may not'],
    ['where there is no hook', 'ann', 403, 'set `authorize`'],
  ])('is not made: %s', async (_case, who, status, message) => {
    if (who === 'ann') script.writes = { ...script.writes, authorize: undefined as never };

    const response = await upgrade(open(), who);

    expect([response.status, response.webSocket]).toEqual([status, null]);
    expect(await response.text()).toContain(message);
  });

  test('that ended harms nobody, whoever ended it', async () => {
    const stub = open();
    const clients = [await connect(stub), await connect(stub), await connect(stub)];
    clients[0]?.socket.close(1000, 'bye');
    await runInDurableObject(stub, (_object, state) => state.getWebSockets().at(-1)?.close(1011, 'broken'));
    await eventually(() => expect(clients.filter(({ closed }) => closed.length > 0)).toHaveLength(2));

    await stub.set('k', { version: 1 });

    const [left] = clients.filter(({ closed }) => closed.length === 0);
    expect(await left?.hears(1)).toEqual([change('k', { version: 1 })]);
  });

  test('is closed when the next version of the program takes no writes', async () => {
    const stub = open();
    const ann = await connect(stub);
    script.takesWrites = false;
    onTestFinished(() => void (script.takesWrites = true));
    await evictDurableObject(stub);
    ann.say({ type: 'delete', key: 'k' });

    await eventually(() => expect(ann.closed).toEqual([1011]));
  });

  test('that fails when it is written to is closed, and the others hear all the same', () => {
    const closed: number[] = [];
    const heard: string[] = [];
    const deserializeAttachment = (): object => ({ keys: ['k'] });
    const broken = {
      deserializeAttachment,
      send: () => {
        throw new TypeError('broken');
      },
      close: (code: number) => {
        closed.push(code);
        throw new TypeError('broken');
      },
    };
    const whole = { deserializeAttachment, send: (text: string) => void heard.push(text) };
    const sockets = new Connections({ getWebSockets: () => [broken, whole] } as never);

    sockets.broadcast({ type: 'change', kind: 'put', key: 'k', value: 1n, at: 0 });

    expect([closed, heard]).toEqual([[1011], ['{"type":"invalidate","key":"k"}']]);
  });

  test('that a subclass made is left alone', async () => {
    const stub = open();
    const ann = await connect(stub);
    const heard = await runInDurableObject<WritingObject, unknown[]>(stub, async (object, state) => {
      const { 0: client, 1: server } = new WebSocketPair();
      const messages: unknown[] = [];
      client.addEventListener('message', ({ data }) => void messages.push(data));
      state.acceptWebSocket(server, ['other']);
      client.accept();
      await object.webSocketMessage(server, 'nonsense');
      await object.set('k', { version: 1 });
      return messages;
    });

    expect(await ann.hears(1)).toEqual([change('k', { version: 1 })]);
    expect(heard).toEqual([]);
  });
});

describe('a change that was made without knowing the current value', () => {
  test('is answered with that value, stores nothing, and is held against nobody', async () => {
    script.writes = { ...script.writes, badMessages: 'close' };
    const stub = open();
    await stub.set('k', { name: 'theirs' });
    const client = await connect(stub);

    client.say({ id: 1, type: 'update', key: 'k', change: { base: 'old', name: 'ours' } });
    client.say({ id: 2, type: 'update', key: 'k', change: { base: 'theirs', name: 'ours' } });

    expect(await client.hears(3)).toMatchObject([
      { type: 'error', id: 1, key: 'k', value: { name: 'theirs' }, error: { code: 'SOLOFLIGHT_WRITE_CONFLICT' } },
      { type: 'change', kind: 'put', key: 'k', value: { name: 'ours' } },
      { type: 'accepted', id: 2, value: { name: 'ours' } },
    ]);
    expect(client.closed).toEqual([]);
  });
});

describe('a change that makes something without a JSON form', () => {
  test('is accepted, answered and told without that, and held against nobody', async () => {
    script.writes = { ...script.writes, apply: () => ({ count: 1n }) };
    const stub = open();
    const [ann, bob] = [await connect(stub), await connect(stub)];

    ann.say({ id: 1, type: 'update', key: 'k', change: {} });

    expect(await ann.hears(2)).toEqual([
      { type: 'invalidate', key: 'k' },
      { type: 'accepted', id: 1, key: 'k' },
    ]);
    expect(await bob.hears(1)).toEqual([{ type: 'invalidate', key: 'k' }]);
    expect([await stub.get('k'), ann.closed, database.errors]).toEqual([{ count: 1n }, [], []]);
  });
});

describe('a message that is not as it should be', () => {
  test.each([
    ['no JSON', '{"type":', 'BAD_JSON'],
    ['no object', '[]', 'BAD_MESSAGE'],
    ['nothing', 'null', 'BAD_MESSAGE'],
    ['of no type', { key: 'k', value: {} }, 'BAD_MESSAGE'],
    ['of an unknown type', { type: 'constructor', key: 'k' }, 'BAD_MESSAGE'],
    ['without a key', { type: 'set', value: {} }, 'BAD_MESSAGE'],
    ['without a value', { type: 'set', key: 'k' }, 'BAD_MESSAGE'],
    ['with too much', { type: 'delete', key: 'k', value: 1 }, 'BAD_MESSAGE'],
    ['with a key that is none', { type: 'delete', key: 1 }, 'BAD_KEY'],
    ['with an endless key', { type: 'delete', key: 'é'.repeat(1_025) }, 'BAD_KEY'],
    ['with an id that is none', { type: 'delete', key: 'k', id: {} }, 'BAD_MESSAGE'],
    ['too large', { type: 'set', key: 'k', value: 'x'.repeat(70_000) }, 'MESSAGE_TOO_LARGE'],
    ['too large in bytes only', { type: 'set', key: 'k', value: 'é'.repeat(40_000) }, 'MESSAGE_TOO_LARGE'],
  ])('is answered with an error, stores nothing and keeps the connection: %s', async (_case, message, code) => {
    const stub = open();
    const ann = await connect(stub);
    ann.say(message);
    expect(errorOf((await ann.hears(1))[0])).toEqual(['error', code]);

    ann.say({ id: 7, type: 'set', key: 'k', value: {} });

    expect((await ann.hears(3)).at(-1)).toEqual({ type: 'accepted', id: 7, key: 'k' });
    expect(await stub.getWriteStatus()).toMatchObject({ pending: 1 });
  });

  test('made of bytes is refused', async () => {
    const ann = await connect(open());
    ann.socket.send(new Uint8Array([123, 125]));

    expect(errorOf((await ann.hears(1))[0])).toEqual(['error', 'BAD_MESSAGE']);
  });

  test.each([
    ['{', 1008],
    [`"${'x'.repeat(70_000)}"`, 1009],
  ])('closes the connection where that is the policy', async (message, code) => {
    script.writes = { ...script.writes, badMessages: 'close' };
    const stub = open();
    const [ann, bob] = [await connect(stub), await connect(stub)];
    ann.say(message);

    await eventually(() => expect(ann.closed).toEqual([code]));

    expect(bob.closed).toEqual([]);
    expect(ann.heard).toHaveLength(1);
  });
});

describe('too many messages', () => {
  test('are refused, also across hibernation, until some time has passed', async () => {
    script.writes = { ...script.writes, rate: { messages: 4, per: '10s' } };
    const stub = open();
    const ann = await connect(stub);
    const say = (version: number): void => ann.say({ id: version, type: 'set', key: 'k', value: { version } });
    for (const version of [1, 2, 3, 4]) say(version);
    await ann.hears(8);
    await evictDurableObject(stub);
    say(5);
    expect(errorOf((await ann.hears(9)).at(-1))).toEqual(['error', 'TOO_MANY_MESSAGES']);

    script.clock.advance(10_000);
    say(6);

    expect((await ann.hears(11)).at(-1)).toEqual({ type: 'accepted', id: 6, key: 'k' });
    expect(await stub.get('k')).toEqual({ version: 6 });
  });

  test('end the connection of who does not stop', async () => {
    script.writes = { ...script.writes, rate: { messages: 2, per: '10s' } };
    const stub = open();
    const ann = await connect(stub);
    for (let version = 1; version <= 4; version += 1) ann.say({ type: 'set', key: 'k', value: { version } });

    await eventually(() => expect(ann.closed).toEqual([1008]));

    expect(await stub.get('k')).toEqual({ version: 2 });
  });
});

describe('a browser, which sends no `authorization` with a WebSocket', () => {
  const asBrowser = (stub: Stub, headers: Record<string, string>, query = '?key=k'): Promise<Response> =>
    stub.fetch(`http://object/${query}`, { headers: { upgrade: 'websocket', ...headers } });

  test('may show its token as the subprotocol after `soloflight`, which alone comes back', async () => {
    script.writes = { ...script.writes, authorize: (request) => tokenOf(request) === 'a.b-c_d' };
    const stub = open();

    const response = await asBrowser(stub, { 'sec-websocket-protocol': 'soloflight, a.b-c_d' });
    const other = await asBrowser(stub, { 'sec-websocket-protocol': 'soloflight, a.b' });
    const reversed = await asBrowser(stub, { 'sec-websocket-protocol': 'a.b-c_d, soloflight' });

    expect(response.status).toBe(101);
    expect(response.headers.get('sec-websocket-protocol')).toBe('soloflight');
    expect([other.status, reversed.status]).toEqual([403, 403]);
  });

  test.each([
    ['a cookie', { cookie: 'session=s1' }, '?key=k'],
    ['a ticket in the query', {}, '?key=k&ticket=s1'],
  ])('may show %s, and hears of no protocol that it did not name', async (_, headers, query) => {
    const authorize = ({ url, headers }: Request): boolean =>
      headers.get('cookie') === 'session=s1' || new URL(url).searchParams.get('ticket') === 's1';
    script.writes = { ...script.writes, authorize };

    const response = await asBrowser(open(), headers, query);

    expect([response.status, response.headers.get('sec-websocket-protocol')]).toEqual([101, null]);
  });

  test('`tokenOf` reads the header of other requests, and takes no protocol for a token that follows none of ours', () => {
    const tokenIn = (headers: Record<string, string>) => tokenOf(new Request('http://object/', { headers }));

    expect(tokenIn({ authorization: 'Bearer t' })).toBe('t');
    expect(tokenIn({ authorization: 'Basic t' })).toBeUndefined();
    expect(tokenIn({ 'sec-websocket-protocol': 'soloflight' })).toBeUndefined();
    expect(tokenIn({ 'sec-websocket-protocol': 'v1, t' })).toBeUndefined();
    expect(tokenIn({})).toBeUndefined();
  });
});

describe('a ping', () => {
  test('is answered by the platform, although it is no message, and costs nothing of the rate', async () => {
    script.writes = { ...script.writes, rate: { messages: 1, per: '1h' }, badMessages: 'close' };
    const stub = open();
    const ann = await connect(stub);
    await evictDurableObject(stub);

    for (let count = 0; count < 5; count += 1) ann.say('ping');
    expect(await ann.hears(5)).toEqual(Array(5).fill('pong'));
    ann.say({ id: 1, type: 'set', key: 'k', value: {} });

    expect((await ann.hears(7)).at(-1)).toEqual({ type: 'accepted', id: 1, key: 'k' });
    expect(ann.closed).toEqual([]);
  });

  test('is answered as a subclass has said, if it has', async () => {
    const stub = open();
    await runInDurableObject(stub, (_object, state) =>
      state.setWebSocketAutoResponse(new WebSocketRequestResponsePair('hi', '"ho"')),
    );
    const ann = await connect(stub);

    ann.say('hi');

    expect(await ann.hears(1)).toEqual(['ho']);
  });
});

describe('more connections than allowed', () => {
  test('are refused until one has left', async () => {
    script.writes = { ...script.writes, maxConnections: 2 };
    const stub = open();
    const [first] = [await connect(stub), await connect(stub)];

    const refused = await upgrade(stub, 'ann');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10']);
    expect(await refused.json()).toMatchObject({ error: { code: 'TOO_MANY_CONNECTIONS' } });
    first.socket.close();

    await eventually(async () => expect((await upgrade(stub, 'ann')).status).toBe(101));
  });
});

describe('a client that connects where `snapshot` is on', () => {
  beforeEach(() => {
    script.writes = { ...script.writes, snapshot: true };
  });

  test('hears the current value first, or that there is none', async () => {
    const stub = open();
    script.loadNote = () => ({ from: 'upstream' });
    const ann = await connect(stub);
    expect(await ann.hears(1)).toEqual([{ type: 'snapshot', key: 'k', value: { from: 'upstream' } }]);

    await stub.delete('k');
    const bob = await connect(stub);
    expect(await bob.hears(1)).toEqual([{ type: 'snapshot', key: 'k' }]);
  });

  test('hears one for each of its keys, and with all keys for that of its request', async () => {
    const stub = open();
    script.writes = { ...script.writes, authorize: () => ({ keys: ['a', 'b'] }) };
    await stub.set('a', { name: 'a' });
    const some = await connect(stub);
    expect((await some.hears(2)).map((message) => (message as { key: string }).key).sort()).toEqual(['a', 'b']);

    const wide = open();
    script.writes = { ...script.writes, authorize: () => ({ keys: 'all' }) };
    const all = await connect(wide);
    expect(await all.hears(1)).toMatchObject([{ type: 'snapshot', key: 'k' }]);
  });

  test('hears none after a change that overtook it', async () => {
    const stub = open();
    const gate = Promise.withResolvers<void>();
    const read = vi.spyOn(WriteGate.prototype, 'read').mockImplementation(async () => {
      await gate.promise;
      return { name: 'old' };
    });
    const ann = await connect(stub);

    await stub.set('k', { name: 'new' });
    await ann.hears(1);
    await runInDurableObject(stub, () => gate.resolve());
    await stub.set('k', { name: 'newer' });
    read.mockRestore();

    expect(await ann.hears(2)).toEqual([change('k', { name: 'new' }), change('k', { name: 'newer' })]);
  });

  test('is told to read by itself what could not be had', async () => {
    script.loadNote = () => {
      throw new Error('secret');
    };

    const ann = await connect(open());

    expect(await ann.hears(1)).toEqual([{ type: 'invalidate', key: 'k' }]);
  });
});

describe('misuse is said clearly', () => {
  test.each([{ maxConnections: 0 }, { snapshot: 1 as never }])('%o', (options) => {
    const [name] = Object.keys(options);
    expect(() => resolveWriteOptions({ sink: () => {}, ...options })).toThrow(`\`writes.${name}\``);
  });
});
