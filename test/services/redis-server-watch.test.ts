import { EventEmitter } from 'node:events';

import { describe, expect, onTestFinished, test, vi } from 'vitest';

import type { StorageTier } from '../../src/contracts.js';
import { redisStorage } from '../../src/redis/index.js';

/** A connection of ioredis whose commands the test answers. */
class ScriptedConnection extends EventEmitter {
  status = 'connecting';
  readonly options: object;
  readonly sent: { readonly command: string; readonly answer: (reply: unknown) => void; fail(error: Error): void }[] =
    [];

  constructor(port = 1) {
    super();
    this.options = { host: 'h', port };
  }

  callBuffer(command: string): Promise<unknown> {
    return new Promise((answer, fail) => this.sent.push({ command, answer, fail }));
  }

  /** Says that it is connected, and waits until those who heard it have done what they do. */
  async connect(): Promise<void> {
    this.status = 'ready';
    this.emit('ready');
    await settle();
  }

  /** The oldest unanswered `command`. */
  next(command: string): (typeof this.sent)[number] {
    const at = this.sent.findIndex((each) => each.command === command);
    if (at < 0) throw new Error(`No ${command} was sent`);
    return this.sent.splice(at, 1)[0]!;
  }

  /** Says which run of a server it is. */
  tell(run: string): void {
    this.next('INFO').answer(Buffer.from(`# Server\r\nredis_version:7.0.15\r\nrun_id:${run}\r\ntcp_port:1\r\n`));
  }
}

/** A client of node-redis, which is given replies before it is ready. */
class ScriptedNodeRedis extends ScriptedConnection {
  isReady = false;
  readonly withTypeMapping = (): this => this;
  override readonly callBuffer = undefined as never;

  sendCommand([command]: readonly string[]): Promise<unknown> {
    return new Promise((answer, fail) => this.sent.push({ command: command!, answer, fail }));
  }
}

/** A cluster of ioredis over scripted connections. */
class ScriptedCluster extends ScriptedConnection {
  readonly isCluster = true;
  primaries: readonly ScriptedConnection[] = [];
  nodes(): readonly ScriptedConnection[] {
    return this.primaries;
  }
}

/** A storage over `connection`, with a record of what it tells. */
function watched(connection: ScriptedConnection) {
  const story: string[] = [];
  const storage = redisStorage({ client: connection });
  const stops = [storage.onReady!(() => story.push('ready')), storage.onLoss!(() => story.push('lost'))];
  return { storage, story, stop: () => stops.forEach((end) => end()) };
}

function read(storage: StorageTier, story: string[]): void {
  void Promise.resolve(storage.get('k')).then(() => story.push('read'));
}

describe('a client that connects again', () => {
  test('to the same run of its server loses nothing; reads wait until that is known', async () => {
    const connection = new ScriptedConnection();
    const { storage, story } = watched(connection);
    await connection.connect();
    connection.tell('a');
    await settle();

    await connection.connect();
    read(storage, story);
    connection.next('GET').answer(null);
    await settle();
    expect(story).toEqual(['ready', 'ready']);
    connection.tell('a');
    await settle();

    expect(story).toEqual(['ready', 'ready', 'read']);
  });

  test('to another run tells the loss before a read is believed, also one that was sent first', async () => {
    const connection = new ScriptedConnection();
    const { storage, story } = watched(connection);
    await connection.connect();
    connection.tell('a');
    await settle();

    read(storage, story);
    const connecting = connection.connect();
    connection.next('GET').answer(null);
    await connecting;
    connection.tell('b');
    await settle();
    expect(story).toEqual(['ready', 'ready', 'lost', 'read']);

    // A failover there and back.
    await connection.connect();
    connection.tell('a');
    await settle();
    expect(story.slice(4)).toEqual(['ready', 'lost']);
  });

  test('and forgets the question for the run holds nobody back for longer than five seconds, and counts as a loss', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const connection = new ScriptedConnection();
    const { storage, story } = watched(connection);
    await connection.connect();
    connection.tell('a');
    await settle();

    await connection.connect();
    read(storage, story);
    connection.next('GET').answer(null);
    await vi.advanceTimersByTimeAsync(4_999);
    await settle();
    expect(story).toEqual(['ready', 'ready']);
    await vi.advanceTimersByTimeAsync(1);
    await settle();

    expect(story).toEqual(['ready', 'ready', 'lost', 'read']);
  });

  test.each(['version', 'getMany', 'lease'] as const)('holds back %s', async (method) => {
    const connection = new ScriptedConnection();
    const { storage, story } = watched(connection);
    await connection.connect();
    connection.tell('a');
    await settle();

    await connection.connect();
    const calls = {
      version: () => storage.version!('k', -Infinity),
      getMany: () => storage.getMany!(['k']),
      lease: () => storage.lease!('k', 1_000, -Infinity),
    };
    void Promise.resolve(calls[method]()).then(() => story.push('read'));
    await settle();
    // The digest of a script is computed by the platform, in its own time.
    await expect.poll(() => connection.sent.map(({ command }) => command)).toContain(COMMANDS[method]);
    connection.next(COMMANDS[method]).answer(method === 'getMany' ? [null] : [Buffer.from('held')]);
    await settle();
    expect(story).toEqual(['ready', 'ready']);
    connection.tell('b');
    await settle();

    expect(story).toEqual(['ready', 'ready', 'lost', 'read']);
  });

  test('and does not learn whose run it is takes it for a loss, and the next unknown one too', async () => {
    const connection = new ScriptedConnection();
    const { story } = watched(connection);
    await connection.connect();
    connection.next('INFO').fail(new Error('Connection is closed.'));
    await settle();
    expect(story).toEqual(['ready']);

    await connection.connect();
    connection.tell('b');
    await settle();
    expect(story).toEqual(['ready', 'ready', 'lost']);

    await connection.connect();
    connection.next('INFO').fail(new Error('Connection is closed.'));
    await settle();
    expect(story.slice(3)).toEqual(['ready', 'lost']);
  });

  test.each(["NOPERM this user has no permissions to run the 'info' command", "ERR unknown command 'INFO'"])(
    'and may not ask (%s) tells no loss',
    async (message) => {
      const connection = new ScriptedConnection();
      const { story } = watched(connection);
      for (let round = 0; round < 2; round += 1) {
        await connection.connect();
        connection.next('INFO').fail(new Error(message));
        await settle();
      }

      expect(story).toEqual(['ready', 'ready']);
    },
  );

  test('was connected already when somebody began to listen: its server is known', async () => {
    const connection = new ScriptedConnection();
    await connection.connect();
    const { story } = watched(connection);
    await settle();
    connection.tell('a');
    await settle();

    await connection.connect();
    connection.tell('b');
    await settle();

    expect(story).toEqual(['ready', 'lost']);
  });
});

describe('a client of node-redis', () => {
  async function reconnecting() {
    const client = new ScriptedNodeRedis();
    Object.assign(client, { status: undefined, isReady: true });
    const hints = watched(client);
    await settle();
    client.tell('a');
    await settle();
    read(hints.storage, hints.story);
    client.isReady = false;
    client.emit('connect');
    client.next('GET').answer(null);
    await settle();
    expect(hints.story).toEqual([]);
    return { client, ...hints };
  }

  test('that has a reply before it is ready does not believe it before it knows the server', async () => {
    const { client, story } = await reconnecting();
    client.isReady = true;
    client.emit('ready');
    await settle();
    expect(story).toEqual(['ready']);

    client.tell('b');
    await settle();

    expect(story).toEqual(['ready', 'lost', 'read']);
  });

  test.each(['reconnecting', 'end'])('whose new connection ends at once (%s) takes it for a loss', async (event) => {
    const { client, story } = await reconnecting();

    client.emit(event);
    await settle();

    expect(story).toEqual(['lost', 'read']);
  });

  test('has no listener of ours any more once nobody listens, and never one for errors', async () => {
    const { client, stop } = await reconnecting();
    expect(client.listenerCount('error')).toBe(0);
    stop();
    await settle();
    expect(client.eventNames()).toEqual([]);
  });
});

describe('storages over one client', () => {
  test('share one listener and one question, which end with the last of them', async () => {
    const connection = new ScriptedConnection();
    const all = Array.from({ length: 20 }, () => watched(connection));
    expect(connection.listenerCount('ready')).toBe(1);
    await connection.connect();
    expect(connection.sent.map(({ command }) => command)).toEqual(['INFO']);
    connection.tell('a');
    await settle();

    for (const { stop } of all.slice(1)) stop();
    all[1]!.stop();
    await connection.connect();
    connection.tell('b');
    await settle();
    expect(all[0]!.story).toEqual(['ready', 'ready', 'lost']);
    expect(all[1]!.story).toEqual(['ready']);

    all[0]!.stop();
    expect(connection.listenerCount('ready')).toBe(0);
  });

  test('ask nothing while nobody listens, and a client without events has no hints', async () => {
    const connection = new ScriptedConnection();
    redisStorage({ client: connection });
    await connection.connect();
    expect(connection.sent).toEqual([]);

    const silent = redisStorage({ client: { callBuffer: () => Promise.resolve(null) } });
    expect('onReady' in silent).toBe(false);
    expect('onLoss' in silent).toBe(false);
  });
});

describe('a cluster', () => {
  async function started() {
    const cluster = new ScriptedCluster();
    const nodes = [1, 2].map((port) => new ScriptedConnection(port));
    const hints = watched(cluster);
    cluster.primaries = nodes;
    await nodes[0]!.connect();
    expect(nodes[0]!.sent).toEqual([]);
    await cluster.connect();
    nodes[0]!.tell('a');
    await settle();
    return { cluster, nodes, ...hints };
  }

  test('loses nothing when a primary is reached for the first time, or again', async () => {
    const { nodes, story } = await started();

    await nodes[1]!.connect();
    nodes[1]!.tell('b');
    await settle();
    for (const [index, run] of ['a', 'b'].entries()) {
      await nodes[index]!.connect();
      nodes[index]!.tell(run);
      await settle();
    }

    expect(story).not.toContain('lost');
  });

  test('loses what a primary forgot that was started again, or that took the place of another one', async () => {
    const { cluster, nodes, story } = await started();
    await nodes[0]!.connect();
    nodes[0]!.tell('a2');
    await settle();
    expect(story.filter((each) => each === 'lost')).toHaveLength(1);

    const promoted = new ScriptedConnection(3);
    cluster.primaries = [nodes[0]!, promoted];
    cluster.emit('+node', promoted);
    await promoted.connect();
    promoted.tell('c');
    await settle();
    expect(story.filter((each) => each === 'lost')).toHaveLength(2);
  });

  test('is left alone once nobody listens, with all its nodes', async () => {
    const { cluster, nodes, stop } = await started();
    stop();
    const listeners = [cluster, ...nodes].map((each) => each.eventNames());
    expect(listeners).toEqual([[], [], []]);
  });
});

const COMMANDS = { version: 'EVALSHA', getMany: 'MGET', lease: 'EVALSHA' } as const;

function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
