/** How the origin answers one request. */
export interface OriginStep {
  /** @default 200 */
  readonly status?: number;
  /** Several fields of one name are an array. No `Date` is sent unless given here. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** A body of so many bytes instead. */
  readonly size?: number;
  /** The name of a request header whose value ends the body. */
  readonly echo?: string;
  /** Without `Content-Length`. */
  readonly chunked?: boolean;
  /** Waits for this gate before the headers. */
  readonly hold?: string;
  /** Waits for this gate when the first `before` characters of the body are sent. */
  readonly holdBody?: string;
  /** @default 1 */
  readonly before?: number;
  /** `reset`: the connection breaks, after the part `before` if there is a body. */
  readonly then?: 'reset';
  /** These bytes instead of a response. */
  readonly raw?: string;
}

/** What the origin noted of a request. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Whether the other side went away before the end of the response. */
  readonly aborted: boolean;
}

/** One script on a running origin, told and asked by HTTP. */
export interface ScriptedOrigin {
  /** The absolute URL of a path of this script. */
  url(path?: string): string;
  /** All requests so far, those for `path` alone if it is given. */
  seen(path?: string): Promise<SeenRequest[]>;
  /** Resolves when the origin has got `count` requests for `path`. */
  reached(count: number, path?: string): Promise<void>;
  open(gate: string): Promise<void>;
}

/** Writes a script: by path, what each request in turn gets; the last step answers all further ones. */
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

/** A script may have broken the connection that is kept alive; another one will do. */
async function tell(url: string, init?: RequestInit): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await (await globalThis.fetch(url, init)).text();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}
