import type { Client } from './object-client.js';
import type { Allowance } from './write-gate.js';

/** A WebSocket of the platform. */
export type Socket = ReturnType<DurableObjectState['getWebSockets']>[number];

/** Tells our sockets from those that a subclass accepts. */
export const TAG = 'soloflight';

export const CLOSE = { normal: 1_000, policy: 1_008, tooLarge: 1_009, failed: 1_011, restart: 1_012 } as const;

/** The attachment of a WebSocket: its client, bound to keys, and the rest of its allowance. */
export interface Connection extends Allowance, Client {
  readonly keys: NonNullable<Client['keys']>;
  /** Whether it was closed here. What its client sent before it knew is refused. */
  readonly closed?: true;
}

/** Whether `socket` was accepted here, and not by a subclass. */
export function isOurs(state: DurableObjectState, socket: Socket): boolean {
  return state.getTags(socket).includes(TAG);
}

/** Ends a connection: because the other side did, or because of `failure`. */
export function end(socket: Socket, failure?: string): void {
  close(socket, failure === undefined ? CLOSE.normal : CLOSE.failed, failure ?? '');
}

/** Closes the connections of the client with this name, or all, at once. Returns how many these were. */
export function closeAll(state: DurableObjectState, name: string | undefined): number {
  let count = 0;
  for (const socket of state.getWebSockets(TAG)) {
    const connection = connectionOf(socket);
    if (connection === undefined || (name !== undefined && connection.name !== name)) continue;
    socket.serializeAttachment({ ...connection, closed: true } satisfies Connection);
    close(socket, CLOSE.policy, 'CLOSED');
    count += 1;
  }
  return count;
}

/** The connection of `socket`; `undefined` if it was closed here, or by an earlier version that bound it to no keys. */
export function connectionOf(socket: Socket): Connection | undefined {
  const connection = socket.deserializeAttachment() as Partial<Connection> | null;
  if (connection?.keys === undefined) close(socket, CLOSE.restart, 'RECONNECT');
  else if (connection.closed !== true) return connection as Connection;
  return undefined;
}

export function close(socket: Socket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed already.
  }
}
