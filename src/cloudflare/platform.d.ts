// The globals of Workers that this folder names, for programs with the globals of Node or of browsers instead.
// The published types name the real ones; test/workers/tsconfig.json checks this folder against them.

type DurableObjectJurisdiction = import('@cloudflare/workers-types').DurableObjectJurisdiction;
type DurableObjectLocationHint = import('@cloudflare/workers-types').DurableObjectLocationHint;
type DurableObjectNamespace<T extends import('@cloudflare/workers-types').Rpc.DurableObjectBranded | undefined> =
  import('@cloudflare/workers-types').DurableObjectNamespace<T>;
type DurableObjectState = import('@cloudflare/workers-types').DurableObjectState;
type DurableObjectStorage = import('@cloudflare/workers-types').DurableObjectStorage;
type SqlStorageValue = import('@cloudflare/workers-types').SqlStorageValue;

declare const WebSocketRequestResponsePair: typeof import('@cloudflare/workers-types').WebSocketRequestResponsePair;
declare const WebSocketPair: typeof import('@cloudflare/workers-types').WebSocketPair;

declare function reportError(error: unknown): void;

declare module 'cloudflare:workers' {
  import type { Rpc, WebSocket } from '@cloudflare/workers-types';

  export function waitUntil(promise: Promise<unknown>): void;

  export abstract class RpcTarget implements Rpc.RpcTargetBranded {
    [Rpc.__RPC_TARGET_BRAND]: never;
  }

  export abstract class DurableObject<Env = unknown> implements Rpc.DurableObjectBranded {
    [Rpc.__DURABLE_OBJECT_BRAND]: never;
    protected ctx: DurableObjectState;
    protected env: Env;
    constructor(ctx: DurableObjectState, env: Env);
    alarm?(): void | Promise<void>;
    fetch?(request: Request): Response | Promise<Response>;
    webSocketMessage?(socket: WebSocket, message: string | ArrayBuffer): void | Promise<void>;
    webSocketClose?(socket: WebSocket, code: number, reason: string, wasClean: boolean): void | Promise<void>;
    webSocketError?(socket: WebSocket, error: unknown): void | Promise<void>;
  }
}
