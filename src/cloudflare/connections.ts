import { byteLength, failure, keyOf } from './json-face.js';
import { includesKey } from './object-client.js';
import { Refusal, toRefusal } from './refusal.js';
import { close, CLOSE, connectionOf, TAG, type Connection, type Socket } from './sockets.js';
import { PROTOCOL, protocolsOf } from './token.js';
import type { AskedWrite, WriteGate } from './write-gate.js';

/** The message to all connected clients. Values are in their JSON form; `at` is epoch milliseconds. */
export type ChangeMessage =
  | {
      readonly type: 'change';
      readonly kind: 'put';
      readonly key: string;
      readonly value: unknown;
      readonly at: number;
    }
  | { readonly type: 'change'; readonly kind: 'delete'; readonly key: string; readonly at: number }
  /** The value when the client connected, with the option `snapshot`. None if nothing was there. */
  | { readonly type: 'snapshot'; readonly key: string; readonly value?: unknown }
  /** The value has changed: read it again. */
  | { readonly type: 'invalidate'; readonly key: string };

/** The longest `id` of a message that comes back in its answer. */
const LONGEST_ID = 256;

/** The WebSockets of an object that takes writes. The platform holds all state, since hibernation takes the memory. */
export class Connections {
  readonly #state: DurableObjectState;
  /** Ends when all earlier messages of a WebSocket are permitted or refused. */
  readonly #permitted = new WeakMap<Socket, Promise<void>>();
  /** The keys that a new connection has still heard nothing of. */
  readonly #awaited = new Map<Socket, Set<string>>();

  constructor(state: DurableObjectState) {
    this.#state = state;
  }

  /** Connects the sender of `request` if it is authorized. */
  async connect<V>(request: Request, gate: WriteGate<V>): Promise<Response> {
    try {
      const client = await gate.authorize(request);
      const key = keyOf(request);
      if (client.keys === undefined && key instanceof Response) return key;
      const own = key instanceof Response ? [] : [key];
      const connection: Connection = { ...gate.allowance, ...client, keys: client.keys ?? own };
      this.#checkRoom(gate);
      const { 0: webSocket, 1: server } = new WebSocketPair();
      this.#state.acceptWebSocket(server, [TAG]);
      // The platform answers without waking the object up. A subclass may have said what.
      if (this.#state.getWebSocketAutoResponse() === null)
        this.#state.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
      server.serializeAttachment(connection);
      const { keys } = connection;
      if (gate.settings.snapshot) void this.#show(server, keys === 'all' ? own : keys, gate);
      const headers = protocolsOf(request).includes(PROTOCOL) ? { 'sec-websocket-protocol': PROTOCOL } : {};
      return new Response(null, { status: 101, webSocket, headers } as ResponseInit);
    } catch (error) {
      const { status, code, message, headers } = toRefusal(error, gate.settings.onError);
      return failure(status, code, message, headers);
    }
  }

  #checkRoom<V>({ settings: { maxConnections } }: WriteGate<V>): void {
    if (this.#state.getWebSockets(TAG).length < maxConnections) return;
    throw new Refusal(503, 'TOO_MANY_CONNECTIONS', `At most ${maxConnections} connections at a time`, {
      'retry-after': '10',
    });
  }

  /** Tells a new connection the values of `keys`, unless a change comes first, which is newer. Never rejects. */
  async #show<V>(socket: Socket, keys: readonly string[], gate: WriteGate<V>): Promise<void> {
    const awaited = new Set(keys);
    this.#awaited.set(socket, awaited);
    const show = async (key: string): Promise<void> => {
      let message: ChangeMessage;
      try {
        message = { type: 'snapshot', key, value: await gate.read(key) };
      } catch {
        // The client may read it by HTTP, and learn there why it can't be had.
        message = { type: 'invalidate', key };
      }
      if (awaited.delete(key)) send(socket, toText(message));
    };
    await Promise.all(keys.map(show));
    this.#awaited.delete(socket);
  }

  /** Answers `message`. Never rejects. */
  async receive<V>(socket: Socket, message: string | ArrayBuffer, gate: WriteGate<V>): Promise<void> {
    let id: string | number | undefined;
    const connection = connectionOf(socket);
    if (connection === undefined) return;
    try {
      this.#count(socket, connection, gate);
      if (typeof message !== 'string') throw new Refusal(400, 'BAD_MESSAGE', 'Expected text, not bytes');
      // A text never takes fewer bytes than units.
      gate.checkSize(message.length);
      gate.checkSize(byteLength(message));
      const asked = gate.parseJson(message);
      if (typeof asked !== 'object' || asked === null || Array.isArray(asked))
        throw new Refusal(400, 'BAD_MESSAGE', 'Expected a JSON object');
      id = idOf(asked);
      const write = gate.toWrite(asked as Record<string, unknown>);
      await this.#permit(socket, write, gate);
      if (connectionOf(socket) === undefined) return;
      const value = await gate.write(write, connection.name);
      tell(socket, { type: 'accepted', id, key: write.key, ...(hasJson(value) ? { value } : {}) });
    } catch (error) {
      const { code, message: reason, status, details } = toRefusal(error, gate.settings.onError);
      tell(socket, { type: 'error', id, error: { code, message: reason }, ...details });
      // A conflict is nobody's fault.
      const isBad = status >= 400 && status < 500 && status !== 409;
      if (isBad && gate.settings.closeBad) close(socket, status === 413 ? CLOSE.tooLarge : CLOSE.policy, code);
    }
  }

  /** Sends `message` to all clients connected for its key. One that can't be reached is closed, and holds up none of the others. */
  broadcast(message: ChangeMessage): void {
    const sockets = this.#state.getWebSockets(TAG);
    if (sockets.length === 0) return;
    const text = toText(message);
    for (const socket of sockets) {
      try {
        const connection = connectionOf(socket);
        if (connection === undefined || !includesKey(connection.keys, message.key)) continue;
        this.#awaited.get(socket)?.delete(message.key);
        socket.send(text);
      } catch {
        close(socket, CLOSE.failed, 'BROKEN');
      }
    }
  }

  /** Asks for one message after the other, so that a slow answer lets no later write overtake an earlier one. */
  #permit<V>(socket: Socket, write: AskedWrite, gate: WriteGate<V>): Promise<void> {
    const ask = async (): Promise<void> => {
      const connection = connectionOf(socket);
      if (connection !== undefined) await gate.permit(write, connection);
    };
    const before = this.#permitted.get(socket);
    const permitted = before === undefined ? ask() : before.then(ask, ask);
    this.#permitted.set(socket, permitted);
    return permitted;
  }

  #count<V>(socket: Socket, connection: Connection, gate: WriteGate<V>): void {
    const allowance = gate.spend(connection);
    socket.serializeAttachment({ ...connection, ...allowance } satisfies Connection);
    if (allowance.left >= 0) return;
    // A client that goes on after so many refusals won't stop for another one.
    if (allowance.left <= -gate.settings.rate.messages) close(socket, CLOSE.policy, 'TOO_MANY_MESSAGES');
    throw gate.tooMany();
  }
}

function idOf(asked: object): string | number | undefined {
  const { id } = asked as { readonly id?: unknown };
  if (id === undefined || typeof id === 'number') return id;
  if (typeof id === 'string' && id.length <= LONGEST_ID) return id;
  throw new Refusal(
    400,
    'BAD_MESSAGE',
    `Expected \`id\` to be a number or a string of at most ${LONGEST_ID} characters`,
  );
}

function toText(message: ChangeMessage): string {
  try {
    return JSON.stringify(message);
  } catch {
    // The value has no JSON form.
    return JSON.stringify({ type: 'invalidate', key: message.key } satisfies ChangeMessage);
  }
}

/** A value without a JSON form is left out of an answer, which is true without it. */
function hasJson(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}

/** Sends `message`, and closes the socket of a client that has left. */
function tell(socket: Socket, message: object): void {
  send(socket, JSON.stringify(message));
}

function send(socket: Socket, text: string): void {
  try {
    socket.send(text);
  } catch {
    close(socket, CLOSE.failed, 'BROKEN');
  }
}
