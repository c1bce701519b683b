import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A network between clients and a server on loopback, as bad as the test wants it. */
export interface TcpProxy {
  readonly port: number;
  /** Where new connections lead. */
  target: number;
  /** Delay of each chunk, milliseconds. */
  delay: number;
  /** Chunks vanish, in both directions, while connections stay: half-open. */
  swallow: boolean;
  /** What the server says vanishes; what it is told arrives. */
  deaf: boolean;
  /** Ends what the servers say on all connections, and leaves open what they are told: half-closed. */
  readonly halfClose: () => void;
  /** Resets all connections. */
  readonly cut: () => void;
  readonly close: () => Promise<void>;
}

/** Opens a proxy to `target`. */
export async function tcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(proxy.target, '127.0.0.1');
    clients.add(client);
    client.on('end', () => upstream.end());
    upstream.on('end', () => client.end());
    client.on('close', () => clients.delete(client));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      let before = Promise.resolve();
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('data', (chunk) => {
        if (proxy.swallow || (proxy.deaf && from === upstream)) return;
        // However the delay changes, bytes of one connection never overtake each other.
        const arrives = proxy.delay === 0 ? undefined : sleep(proxy.delay);
        before = before.then(() => arrives).then(() => void (to.destroyed || to.write(chunk)));
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    target,
    delay: 0,
    swallow: false,
    deaf: false,
    halfClose: () => {
      for (const client of clients) client.end();
    },
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: async () => {
      proxy.cut();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
