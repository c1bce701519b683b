import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Command, Message } from './messages.ts';

type Kind = Message['kind'];
type MessageOf<K extends Kind> = Extract<Message, { readonly kind: K }>;

/** Processes that run modules of this folder, and end together. */
export class Processes {
  /** Rejects as soon as one of them ends by itself. */
  readonly mishap: Promise<never>;
  readonly #children = new Set<ChildProcess>();
  readonly #fail: (reason: unknown) => void;
  readonly #signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {}); // also when nobody is left to hear of it
    this.mishap = promise;
    this.#fail = reject;
    this.#signal = signal;
  }

  /** Runs `module` with `parameters` as its only argument. */
  start(module: string, parameters: object): ChildProcess {
    const file = fileURLToPath(new URL(module, import.meta.url));
    // Without the flags of this process: those of a test runner, for example, are not meant for it.
    const child = fork(file, [JSON.stringify(parameters)], {
      execArgv: [],
      ...(this.#signal && { signal: this.#signal }),
    });
    this.#children.add(child);
    child.on('error', this.#fail);
    child.on('exit', (code, killedBy) =>
      this.#fail(new Error(`${module} ended too early (${killedBy ?? `exit code ${code}`})`)),
    );
    return child;
  }

  async end(): Promise<void> {
    const running = [...this.#children].filter(
      (child) => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    );
    await Promise.all(
      running.map((child) => {
        const exited = once(child, 'exit');
        child.kill();
        return exited;
      }),
    );
  }
}

export function command(child: ChildProcess, what: Command): void {
  child.send(what);
}

/** Calls `act` for each message of this kind from `child`. */
export function onMessage<K extends Kind>(child: ChildProcess, kind: K, act: (message: MessageOf<K>) => void): void {
  child.on('message', (message: Message) => {
    if (message.kind === kind) act(message as MessageOf<K>);
  });
}

/** The next message of this kind from `child`. */
export function heard<K extends Kind>(child: ChildProcess, kind: K): Promise<MessageOf<K>> {
  return new Promise((resolve) => onMessage(child, kind, resolve));
}
