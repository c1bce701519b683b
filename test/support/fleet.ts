import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Answer, Order, Question, Settings } from '../services/fixtures/orders.ts';

type Unnumbered<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;
/** The commands for a member of a fleet. */
export type Command = Unnumbered<Exclude<Order, { kind: 'loaded' }>>;

const MEMBER = fileURLToPath(new URL('../services/fixtures/member.ts', import.meta.url));

/** One process of a {@link Fleet}. */
export class Member {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #orders = 0;
  /** The keys of its calls to the upstream. */
  readonly loads: string[] = [];

  constructor(settings: Settings, upstream: (key: string, member: Member) => Promise<unknown>) {
    this.#child = fork(MEMBER, [JSON.stringify(settings)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message: Answer | Question) => {
      if (message.kind === 'done') this.#waiting.get(message.id)?.(message);
      if (message.kind === 'load') {
        this.loads.push(message.key);
        void upstream(message.key, this).then(
          (value) => this.#send({ kind: 'loaded', id: message.id, value }),
          (error: unknown) => this.#send({ kind: 'loaded', id: message.id, error: String(error) }),
        );
      }
    });
  }

  async ready(): Promise<void> {
    const exited = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`A member of the fleet ended with ${code} before it was ready. Is there a build?`);
    });
    exited.catch(() => {});
    await Promise.race([once(this.#child, 'message'), exited]);
  }

  tell(command: Command): Promise<Answer> {
    this.#orders += 1;
    const id = this.#orders;
    return new Promise((resolve) => {
      this.#waiting.set(id, (answer) => {
        this.#waiting.delete(id);
        resolve(answer);
      });
      this.#send({ ...command, id });
    });
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  #send(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => {});
  }
}

/** Several processes with a cache each, over one Redis. Their upstream is here. */
export interface Fleet {
  readonly members: readonly Member[];
  readonly stop: () => Promise<void>;
}

/** What members are like. Half of them are on each client unless it says which. */
export type MemberSettings = Omit<Settings, 'client'> & Partial<Settings>;

/** Starts `count` members with `settings`, or with what these give for the number of a member. */
export async function startFleet(
  count: number,
  settings: MemberSettings | ((index: number) => MemberSettings),
  upstream: (key: string, member: Member) => Promise<unknown>,
): Promise<Fleet> {
  const members = Array.from({ length: count }, (_, index) => {
    const own = typeof settings === 'function' ? settings(index) : settings;
    return new Member({ client: index % 2 === 0 ? 'redis' : 'ioredis', ...own }, upstream);
  });
  const stop = async (): Promise<void> => void (await Promise.all(members.map((member) => member.kill())));
  try {
    await Promise.all(members.map((member) => member.ready()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { members, stop };
}
