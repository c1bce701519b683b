/** The origin's answer to one request. */
export interface OriginStep {
  /** @default 200 */
  readonly status?: number;
  /** Several fields of one name are an array. No `Date` is sent unless given here. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** A body of this many bytes instead. */
  readonly size?: number;
  /** The name of a request header whose value ends the body. */
  readonly echo?: string;
  /** Whether `Content-Length` is left out. */
  readonly chunked?: boolean;
  /** Waits for this gate before the headers. */
  readonly hold?: string;
  /** Waits for this gate after the first `before` characters of the body. */
  readonly holdBody?: string;
  /** @default 1 */
  readonly before?: number;
  /** `reset` breaks the connection, after the first `before` characters if there is a body. */
  readonly then?: 'reset';
  /** Sent as they are, instead of a response. */
  readonly raw?: string;
}

/** The origin's note of a request. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Whether the other side went away before the end of the response. */
  readonly aborted: boolean;
}

/** One script on a running origin, controlled by HTTP. */
export interface ScriptedOrigin {
  /** The absolute URL of a path of this script. */
  url(path?: string): string;
  /** All requests so far, or only those for `path`. */
  seen(path?: string): Promise<SeenRequest[]>;
  /** Resolves when the origin has got `count` requests for `path`. */
  reached(count: number, path?: string): Promise<void>;
  open(gate: string): Promise<void>;
}

/** Writes a script: for each path, the answers to its requests in turn. The last step answers all further requests. */
export async function scriptOrigin(
  base: string,
  paths: Readonly<Record<string, readonly OriginStep[]>>,
): Promise<ScriptedOrigin> {
  const id = crypto.randomUUID();
  await tell(`${base}/script/${id}`, { method: 'PUT', body: JSON.stringify(paths) });
  const seen = async (path?: string): Promise<SeenRequest[]> => {
    const all = JSON.parse(await tell(`${base}/seen/${id}`)) as SeenRequest[];
    return path === undefined ? all : all.filter((request) => request.path === path);
  };
  return {
    url: (path = '/') => `${base}/on/${id}${path}`,
    seen,
    reached: async (count, path = '') => void (await tell(`${base}/reached/${id}/${count}${path}`)),
    open: async (gate) => void (await tell(`${base}/open/${id}/${gate}`)),
  };
}

/** Tries again on another connection: a script may have broken the one that is kept alive. */
async function tell(url: string, init?: RequestInit): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await (await globalThis.fetch(url, init)).text();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}
