import { byteLength, failure } from './json-face.js';
import { Refusal, toRefusal } from './refusal.js';
import type { Allowance, WriteGate } from './write-gate.js';

/** A WebSocket of the platform. */
export type Socket = ReturnType<DurableObjectState['getWebSockets']>[number];

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
  /** The value has changed: read it again. */
  | { readonly type: 'invalidate'; readonly key: string };

/** Tells our sockets from those that a subclass accepts. */
const TAG = 'soloflight';

const CLOSE = { normal: 1_000, policy: 1_008, tooLarge: 1_009, failed: 1_011 } as const;

/** The longest `id` of a message that comes back in its answer. */
const LONGEST_ID = 256;

/** The WebSockets of an object. The platform holds all state, since hibernation takes the memory. */
export class Sockets {
  readonly #state: DurableObjectState;

  constructor(state: DurableObjectState) {
    this.#state = state;
  }

  /** Whether `socket` was accepted here. */
  has(socket: Socket): boolean {
    return this.#state.getTags(socket).includes(TAG);
  }

  /** Connects the sender of `request` if it is authorized. */
  async connect<V>(request: Request, gate: WriteGate<V>): Promise<Response> {
    try {
      await gate.authorize(request);
      const { 0: client, 1: server } = new WebSocketPair();
      this.#state.acceptWebSocket(server, [TAG]);
      server.serializeAttachment(gate.allowance);
      return new Response(null, { status: 101, webSocket: client } as ResponseInit);
    } catch (error) {
      const { status, code, message, headers } = toRefusal(error, gate.settings.onError);
      return failure(status, code, message, headers);
    }
  }

  /** Answers `message`. Never rejects. */
  async receive<V>(socket: Socket, message: string | ArrayBuffer, gate: WriteGate<V>): Promise<void> {
    let id: string | number | undefined;
    try {
      this.#count(socket, gate);
      if (typeof message !== 'string') throw new Refusal(400, 'BAD_MESSAGE', 'Expected text, not bytes');
      // A text never takes fewer bytes than units.
      gate.checkSize(message.length);
      gate.checkSize(byteLength(message));
      const asked = gate.parseJson(message);
      if (typeof asked !== 'object' || asked === null || Array.isArray(asked))
        throw new Refusal(400, 'BAD_MESSAGE', 'Expected a JSON object');
      id = idOf(asked);
      const write = gate.toWrite(asked as Record<string, unknown>);
      const value = await gate.write(write);
      tell(socket, { type: 'accepted', id, key: write.key, ...(hasJson(value) ? { value } : {}) });
    } catch (error) {
      const { code, message: reason, status, details } = toRefusal(error, gate.settings.onError);
      tell(socket, { type: 'error', id, error: { code, message: reason }, ...details });
      // A conflict is nobody's fault.
      const isBad = status >= 400 && status < 500 && status !== 409;
      if (isBad && gate.settings.closeBad) close(socket, status === 413 ? CLOSE.tooLarge : CLOSE.policy, code);
    }
  }

  /** Sends `message` to all connected clients. One that can't be reached is closed, and holds up none of the others. */
  broadcast(message: ChangeMessage): void {
    const sockets = this.#state.getWebSockets(TAG);
    if (sockets.length === 0) return;
    const text = toText(message);
    for (const socket of sockets) {
      try {
        socket.send(text);
      } catch {
        close(socket, CLOSE.failed, 'BROKEN');
      }
    }
  }

  /** Ends a connection: because the other side did, or because of `failure`. */
  end(socket: Socket, failure?: string): void {
    close(socket, failure === undefined ? CLOSE.normal : CLOSE.failed, failure ?? '');
  }

  #count<V>(socket: Socket, gate: WriteGate<V>): void {
    const allowance = gate.spend((socket.deserializeAttachment() as Allowance | null) ?? gate.allowance);
    socket.serializeAttachment(allowance);
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
  try {
    socket.send(JSON.stringify(message));
  } catch {
    close(socket, CLOSE.failed, 'BROKEN');
  }
}

function close(socket: Socket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed already.
  }
}
