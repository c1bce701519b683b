import { ioredisSend, isIoredis, nodeRedisSend, type RedisClient, type Send } from './client.js';
import { listenTo, type Begin, type Connection } from './connection.js';

/** One connection to a server, from its beginning. */
export interface Contact {
  /** Whether it is the first with this server, which was there from the beginning. */
  readonly isFirst: boolean;
  /** Whether it was not there when listening began. */
  readonly isNew: boolean;
  /** Resolves with the way to ask the server once it takes commands; rejects if the connection ends before. */
  readonly ready: Promise<Send>;
}

/** Tells when a client reaches a server. */
export interface Contacts {
  /**
   * Calls `begin` with the contacts that there are, and with each from then on, before any reply of it arrives. Of a cluster
   * only primaries count.
   */
  listen(begin: (contact: Contact) => void): () => void;
}

interface Primary {
  readonly address: string;
  /** `undefined` before it is needed. */
  readonly connection: Connection | undefined;
}

/** A cluster, with what tells its primaries. */
interface ClusterView {
  readonly cluster: Connection;
  /** Events after which `primaries` may be others. */
  readonly events: readonly string[];
  readonly primaries: () => readonly Primary[];
  readonly sendTo: (connection: Connection) => Send;
}

interface NodeRedisCluster extends Connection {
  readonly masters: readonly { readonly address: string; readonly client?: Connection | undefined }[];
  readonly nodeClient: unknown;
}

interface IoredisNode extends Connection {
  readonly options: { readonly host?: string; readonly port?: number };
}

interface IoredisCluster extends Connection {
  readonly isCluster: true;
  nodes(role: 'master'): readonly IoredisNode[];
}

/** The contacts of `client`, or `undefined` if it does not tell them. */
export function contactsOf(client: RedisClient): Contacts | undefined {
  if (!isConnection(client)) return undefined;
  const sendTo = isIoredis(client) ? ioredisSend : nodeRedisSend;
  if (isIoredisCluster(client))
    return new ClusterContacts({
      cluster: client,
      events: ['ready', '+node', '-node'],
      // Before it is ready, it takes the nodes it was given for primaries.
      primaries: () => (client.status === 'ready' ? client.nodes('master').map(ioredisPrimary) : []),
      sendTo,
    });
  if (isNodeRedisCluster(client))
    return new ClusterContacts({
      cluster: client,
      events: ['node-connect', 'node-ready', 'connect'],
      primaries: () => client.masters.map(({ address, client: connection }) => ({ address, connection })),
      sendTo,
    });
  return isClient(client) ? new ClientContacts(client, sendTo(client)) : undefined;
}

function ioredisPrimary(connection: IoredisNode): Primary {
  return { address: `${connection.options.host}:${connection.options.port}`, connection };
}

class ClientContacts implements Contacts {
  readonly #client: Connection;
  readonly #send: Send;

  constructor(client: Connection, send: Send) {
    this.#client = client;
    this.#send = send;
  }

  listen(begin: (contact: Contact) => void): () => void {
    let isFirst = true;
    return listenTo(this.#client, (connected, isNew) => {
      const ready = connected.then(() => {
        isFirst = false;
        return this.#send;
      });
      begin({ isFirst, isNew, ready });
    });
  }
}

/** A primary that appears later has been a replica, or was started again: it may lack what the one before knew. */
class ClusterContacts implements Contacts {
  readonly #view: ClusterView;

  constructor(view: ClusterView) {
    this.#view = view;
  }

  listen(begin: (contact: Contact) => void): () => void {
    const { cluster, events, primaries, sendTo } = this.#view;
    const ends = new Map<Connection, () => void>();
    /** Addresses that were there from the beginning and were not reached yet. */
    let founders: Set<string> | undefined;
    const look = (): void => {
      const current = primaries();
      if (current.length > 0) founders ??= new Set(current.map(({ address }) => address));
      const gone = new Set(ends.keys());
      for (const { address, connection } of current) {
        if (connection === undefined || gone.delete(connection)) continue;
        const contact: Begin = (connected, isNew) => {
          const ready = connected.then(() => {
            founders?.delete(address);
            return sendTo(connection);
          });
          begin({ isFirst: founders?.has(address) === true, isNew, ready });
        };
        ends.set(connection, listenTo(connection, contact));
      }
      for (const connection of gone) {
        ends.get(connection)?.();
        ends.delete(connection);
      }
    };
    for (const event of events) cluster.on(event, look);
    look();
    return () => {
      for (const event of events) cluster.off(event, look);
      for (const end of ends.values()) end();
    };
  }
}

function isConnection(client: RedisClient): client is RedisClient & Connection {
  const { on, off } = client as Partial<Connection>;
  return typeof on === 'function' && typeof off === 'function';
}

/** A pool of clients says nothing of its connections. */
function isClient(client: Connection): boolean {
  return typeof client.isReady === 'boolean' || typeof client.status === 'string';
}

function isIoredisCluster(client: Connection): client is IoredisCluster {
  return (client as Partial<IoredisCluster>).isCluster === true;
}

function isNodeRedisCluster(client: Connection): client is NodeRedisCluster {
  return typeof (client as Partial<NodeRedisCluster>).nodeClient === 'function';
}
