/** A listener of an event. */
type Listener = (...args: never[]) => void;

/** The part of an `IncomingMessage` of Node that is used here. */
export interface NodeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly socket: object;
  listenerCount(event: string): number;
  emit(event: string, ...args: unknown[]): boolean;
}

/** The part of a `ServerResponse` of Node that is used here. */
export interface NodeResponse {
  statusCode: number;
  statusMessage: string;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly destroyed: boolean;
  getHeaders(): Readonly<Record<string, number | string | readonly string[] | undefined>>;
  getHeaderNames(): string[];
  setHeader(name: string, value: string | readonly string[]): unknown;
  removeHeader(name: string): void;
  writeHead(status: number, ...rest: unknown[]): unknown;
  flushHeaders(): void;
  write(chunk: unknown, ...rest: unknown[]): boolean;
  end(...rest: unknown[]): unknown;
  destroy(error?: Error): unknown;
  on(event: string, listener: Listener): unknown;
  once(event: string, listener: Listener): unknown;
  removeListener(event: string, listener: Listener): unknown;
  listenerCount(event: string): number;
  emit(event: string, ...args: unknown[]): boolean;
}

/** Headers of Node in the form of the platform. Those of HTTP/2 that begin with a colon are none. */
export function webHeaders(fields: ReturnType<NodeResponse['getHeaders']>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name.startsWith(':')) continue;
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value]) headers.append(name, String(one));
  }
  return headers;
}

/** The fields that were given to `writeHead`: an object, a list of pairs, or a flat list. */
export function fieldsIn(fields: unknown): [name: string, value: string | readonly string[]][] {
  if (!Array.isArray(fields)) return Object.entries((fields ?? {}) as Record<string, string | readonly string[]>);
  const flat = fields.flat() as string[];
  const found = new Map<string, string[]>();
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const [name, value] = [flat[at]!.toLowerCase(), flat[at + 1]!];
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return [...found].map(([name, values]) => [name, values.length === 1 ? values[0]! : values]);
}
