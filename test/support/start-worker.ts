import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare, Response as Reply } from 'miniflare';

import { HANGS_AFTER } from './patience.js';

/** A call of the Worker's upstream that waits for the test to answer it. */
interface UpstreamCall {
  readonly key: string;
  answer(text: string): void;
}

/** A request whose client can leave. */
export interface Client {
  /** Leaves without notice, as a closed browser does. Resolves when the Worker must have noticed. */
  leave(): Promise<void>;
}

/** One Worker under workerd, reached without a proxy. It answers `/arrived?key=` with the number of requests for `key`. */
export interface StartedWorker {
  /** The body of the answer, or `'hangs'` if there is none within `patience` milliseconds. */
  get(path: string, patience?: number): Promise<string>;
  /** Sends a request by hand. */
  open(path: string): Promise<Client>;
  /** Resolves when `count` requests for `key` have reached the Worker. */
  arrived(key: string, count: number): Promise<void>;
  /** Resolves when the Worker has done all it can do by now: it has answered later requests. */
  settled(): Promise<void>;
  /** The keys of all upstream calls so far that equal `key` or begin with it. */
  calls(key: string): readonly string[];
  /** The next call for `key`, whether it has come already or not. */
  called(key: string): Promise<UpstreamCall>;
  /** Answers the waiting calls for keys that begin with `prefix`, with their keys. */
  answerWaiting(prefix: string): void;
  /** The complaints of the runtime. */
  readonly complaints: readonly string[];
  stop(): Promise<void>;
}

/** The settings under which a Worker runs. */
export interface WorkerRuntime {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** Bindings of objects whose classes the Worker exports. @default none */
  readonly durableObjects?: Readonly<Record<string, { readonly className: string; readonly useSQLite: boolean }>>;
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
          durableObjects: { ...runtime.durableObjects },
          serviceBindings: { UPSTREAM: async (request) => new Reply(await upstream.take(request.url)) },
        },
      ],
    }),
  );
  const url = await miniflare.unsafeGetDirectURL('worker');
  const sockets = new Set<Socket>();
  const get = (path: string, patience = HANGS_AFTER): Promise<string> => bodyOf(new URL(path, url), patience);
  const arrivals = async (key: string): Promise<number> => Number(await get(`/arrived?key=${encodeURIComponent(key)}`));
  // The Worker takes everything that its sockets received before these requests before it answers the last of them.
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) await arrivals('');
  };
  return {
    complaints,
    get,
    settled,
    open: async (path) => {
      const socket = await opened(new URL(path, url));
      sockets.add(socket);
      return {
        async leave() {
          await new Promise<void>((resolve) => {
            socket.once('close', () => resolve());
            socket.resetAndDestroy();
          });
          await settled();
        },
      };
    },
    async arrived(key, count) {
      while ((await arrivals(key)) < count);
    },
    calls: upstream.calls,
    called: upstream.called,
    answerWaiting: upstream.answerWaiting,
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
    // Else `soloflight` would be its source, by the `paths` of tsconfig.json, whatever the conditions.
    tsconfigRaw: '{}',
    external: ['cloudflare:workers'],
  });
  return outputFiles[0]!.text;
}

/** An upstream whose calls wait for the test. */
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
        offer({ key, answer: resolve });
      }),
    calls: (prefix: string) => taken.filter((key) => key.startsWith(prefix)),
    called: (key: string): Promise<UpstreamCall> =>
      new Promise((resolve) => {
        const index = waiting.findIndex((call) => call.key === key);
        if (index < 0) wanted.push({ key, give: resolve });
        else resolve(waiting.splice(index, 1)[0]!);
      }),
    answerWaiting: (prefix: string): void => {
      for (const call of waiting.splice(0)) {
        if (call.key.startsWith(prefix)) call.answer(call.key);
        else waiting.push(call);
      }
    },
  };
}

/** Uses a connection of its own, so that it waits for no other request. */
function bodyOf(url: URL, patience: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(patience);
    const sent = request(url, { agent: false, signal }, (response) => {
      text(response).then(resolve, reject);
    });
    sent.on('error', (error) => (signal.aborted ? resolve('hangs') : reject(error)));
    sent.end();
  });
}

/** A connection on which a request was sent. */
function opened(url: URL): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => {
      socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: worker\r\n\r\n`);
      resolve(socket);
    });
    socket.on('error', reject);
  });
}
