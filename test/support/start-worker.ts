import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare, Response as Reply } from 'miniflare';

/** A call of the Worker's upstream that waits for the test to answer it. */
interface UpstreamCall {
  readonly key: string;
  answer(text: string): void;
}

/** A request whose client can leave. */
interface Client {
  /** Leaves without a word, as a closed browser does, after so many milliseconds. */
  leave(after?: number): Promise<void>;
}

/** One Worker under workerd, reached without a proxy. */
export interface StartedWorker {
  /** The body of the answer, or `'hangs'` where there is none for longer than the runtime and the cache need to notice anything. */
  get(path: string, patience?: number): Promise<string>;
  /** Sends a request by hand. */
  open(path: string): Promise<Client>;
  /** Keys of all upstream calls so far that are `key`, or begin with it. */
  calls(key: string): readonly string[];
  /** The next call for `key`, come or to come. */
  called(key: string): Promise<UpstreamCall>;
  /** What the runtime complained of. */
  readonly complaints: readonly string[];
  stop(): Promise<void>;
}

/** How a Worker is run. */
export interface WorkerRuntime {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

/** Runs `entry`, a file beside the tests, in workerd. */
export async function startWorker(entry: URL, runtime: WorkerRuntime): Promise<StartedWorker> {
  const upstream = heldUpstream();
  const complaints: string[] = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      handleStructuredLogs: ({ level, message }) => {
        if (level === 'error' || level === 'warn') complaints.push(message);
      },
      workers: [
        {
          name: 'worker',
          modules: [{ type: 'ESModule', path: 'worker.js', contents: await bundled(entry) }],
          compatibilityDate: runtime.compatibilityDate,
          compatibilityFlags: [...runtime.compatibilityFlags],
          unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
          kvNamespaces: ['KV'],
          serviceBindings: { UPSTREAM: async (request) => new Reply(await upstream.take(request.url)) },
        },
      ],
    }),
  );
  const url = await miniflare.unsafeGetDirectURL('worker');
  const sockets = new Set<Socket>();
  return {
    complaints,
    get: (path, patience = 10_000) => bodyOf(new URL(path, url), patience),
    open: (path) => opened(new URL(path, url), sockets),
    calls: upstream.calls,
    called: upstream.called,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await miniflare.dispose();
    },
  };
}

async function bundled(entry: URL): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(entry)],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:workers'],
  });
  return outputFiles[0]!.text;
}

/** An upstream whose calls wait for the test, but for keys that begin with `auto`. */
function heldUpstream() {
  const taken: string[] = [];
  const waiting: UpstreamCall[] = [];
  const wanted: { readonly key: string; readonly give: (call: UpstreamCall) => void }[] = [];
  const offer = (call: UpstreamCall): void => {
    const index = wanted.findIndex(({ key }) => key === call.key);
    if (index < 0) waiting.push(call);
    else wanted.splice(index, 1)[0]!.give(call);
  };
  return {
    take: (url: string): Promise<string> =>
      new Promise((resolve) => {
        const key = decodeURIComponent(new URL(url).pathname.slice(1));
        taken.push(key);
        if (key.startsWith('auto')) setTimeout(() => resolve(key), 20);
        offer({ key, answer: resolve });
      }),
    calls: (prefix: string) => taken.filter((key) => key.startsWith(prefix)),
    called: (key: string): Promise<UpstreamCall> =>
      new Promise((resolve) => {
        const index = waiting.findIndex((call) => call.key === key);
        if (index < 0) wanted.push({ key, give: resolve });
        else resolve(waiting.splice(index, 1)[0]!);
      }),
  };
}

async function bodyOf(url: URL, patience: number): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patience) });
    return await response.text();
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') return 'hangs';
    throw error;
  }
}

function opened(url: URL, sockets: Set<Socket>): Promise<Client> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => {
      socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: worker\r\n\r\n`);
      resolve({
        leave: (after = 0) =>
          new Promise((done) => {
            socket.once('close', () => done());
            setTimeout(() => socket.resetAndDestroy(), after);
          }),
      });
    });
    sockets.add(socket);
    socket.on('error', reject);
  });
}
