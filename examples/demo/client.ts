import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { now } from './messages.ts';

/*
 * A minimal HTTP/1.1 client on bare sockets. The client of `node:http` takes several times the CPU time: on two cores it
 * did not get 10,000 requests out within a second beside the server it measures.
 */

/** Status of a request that got no answer. */
const NO_ANSWER = 0;

/** Keep-alive connections to one server: a request takes an idle one or opens another, one request at a time on each. */
export class Client {
  /** Instant of the last request sent. */
  lastSentAt = 0;
  readonly #port: number;
  readonly #mostConnections: number;
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<(connection: Connection) => void>();
  #connections = 0;

  constructor(port: number, mostConnections: number) {
    this.#port = port;
    this.#mostConnections = mostConnections;
  }

  /** Resolves to the status of the answer, or to {@link NO_ANSWER} if there is none by `deadline`. */
  get(path: string, deadline: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    let taken: Connection | undefined;
    const send = (connection: Connection): void => {
      taken = connection;
      this.lastSentAt = now();
      connection.get(path, settle);
    };
    const settle = (status: number): void => {
      clearTimeout(timer);
      if (taken && status !== NO_ANSWER) this.#release(taken);
      resolve(status);
    };
    const giveUp = (): void => {
      this.#waiting.delete(send);
      // A late answer must not be taken for that of a later request.
      if (taken) taken.close();
      else settle(NO_ANSWER);
    };
    const timer = setTimeout(giveUp, deadline - now());

    const connection = this.#idle.pop() ?? this.#open();
    if (connection) send(connection);
    else this.#waiting.add(send);
    return promise;
  }

  #open(): Connection | undefined {
    if (this.#connections >= this.#mostConnections) return undefined;
    this.#connections++;
    return new Connection(this.#port, () => this.#connections--);
  }

  #release(connection: Connection): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#idle.push(connection);
      return;
    }
    this.#waiting.delete(next);
    next(connection);
  }
}

class Connection {
  readonly #socket: Socket;
  #received = '';
  #settle: ((status: number) => void) | undefined;

  constructor(port: number, onClose: () => void) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    // One character per byte, so that lengths are those of the wire.
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => this.#read(text));
    this.#socket.on('error', () => {}); // 'close' follows
    this.#socket.on('close', () => {
      onClose();
      this.#finish(NO_ANSWER);
    });
  }

  get(path: string, settle: (status: number) => void): void {
    this.#settle = settle;
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  }

  close(): void {
    this.#socket.resetAndDestroy();
  }

  #read(text: string): void {
    this.#received += text;
    const head = this.#received.indexOf('\r\n\r\n');
    if (head === -1) return;
    const length = Number(/^content-length: (\d+)/im.exec(this.#received)?.[1]);
    if (this.#received.length < head + 4 + length) return;

    const status = Number(this.#received.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
    this.#received = '';
    this.#finish(status);
  }

  #finish(status: number): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(status);
  }
}
