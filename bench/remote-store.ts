import { createServer, connect, type Socket } from 'node:net';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

/*
 * A key-value server in a thread of its own, one command per line, and its client: enough of a network and of a
 * serialisation for storage to cost what storage costs, with nothing to install. Keys must not contain spaces.
 */

export interface RemoteStore {
  get: (key: string) => Promise<string | undefined>;
  set: (key: string, payload: string) => Promise<void>;
  delete: (key: string) => Promise<boolean>;
  close: () => Promise<void>;
  /** Commands sent so far. */
  readonly commands: number;
}

export async function startRemoteStore(): Promise<RemoteStore> {
  const worker = new Worker(new URL(import.meta.url));
  const port = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  const socket = connect(port, '127.0.0.1').setNoDelay(true);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));

  // Answers come in the order of the commands.
  const waiting: ((answer: string) => void)[] = [];
  let commands = 0;
  linesOf(socket, (line) => waiting.shift()?.(line));
  const send = (command: string): Promise<string> => {
    commands++;
    socket.write(`${command}\n`);
    return new Promise((resolve) => waiting.push(resolve));
  };

  return {
    get commands() {
      return commands;
    },
    async get(key) {
      const answer = await send(`get ${key}`);
      return answer === '' ? undefined : answer;
    },
    async set(key, payload) {
      await send(`set ${key} ${payload}`);
    },
    delete: async (key) => (await send(`delete ${key}`)) === 'true',
    async close() {
      socket.destroy();
      await worker.terminate();
    },
  };
}

function serve(): void {
  const payloads = new Map<string, string>();
  const answers: Readonly<Record<string, (key: string, payload: string) => string>> = {
    get: (key) => payloads.get(key) ?? '',
    set: (key, payload) => String(payloads.set(key, payload).size),
    delete: (key) => String(payloads.delete(key)),
  };
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    linesOf(socket, (line) => {
      const [, command = '', key = '', payload = ''] = /^(\w+) (\S+) ?(.*)$/.exec(line) ?? [];
      socket.write(`${answers[command]?.(key, payload) ?? ''}\n`);
    });
  });
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as { readonly port: number }).port));
}

function linesOf(socket: Socket, take: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
}

if (!isMainThread) serve();
