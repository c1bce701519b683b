import type { Opened, Value } from './candidate.ts';

/*
 * What is measured. Each contestant gets a copy of this module of its own (see `ownLoops` in rounds.ts): V8 compiles a
 * loop for the callee it has seen, and one that has seen two calls the second at the price of a lookup.
 */

type Read = Opened['read'];

/** Awaits `count` reads, one after another, of `keys` in turn. The number of keys must be a power of two. */
export async function readInTurn(
  read: Read,
  keys: readonly string[],
  count: number,
  from: number,
): Promise<Value | undefined> {
  const mask = keys.length - 1;
  let last: Value | undefined;
  for (let i = 0; i < count; i++) last = await read(keys[(from + i) & mask] as string);
  return last;
}

/** Makes the reads of `keys` from `from` to `to`, all in flight at once, as requests are. */
export function request(read: Read, keys: readonly string[], from: number, to: number): void {
  for (let i = from; i < to; i++) void answer(read, keys[i % keys.length] as string);
}

async function answer(read: Read, key: string): Promise<void> {
  await read(key);
}

/** Looks `count` times into memory, synchronously, and returns how often something was there. */
export function peekInTurn(
  peek: (key: string) => Value | undefined,
  keys: readonly string[],
  count: number,
  from: number,
): number {
  const mask = keys.length - 1;
  let found = 0;
  for (let i = 0; i < count; i++) if (peek(keys[(from + i) & mask] as string) !== undefined) found++;
  return found;
}

/** Lets `count` callers ask for `key` at once; `held[from…]` keeps what each of them waits on. */
export function joinAtOnce(
  read: Read,
  key: string,
  count: number,
  arrived: () => void,
  held: unknown[],
  from: number,
): void {
  for (let i = 0; i < count; i++) held[from + i] = (read(key) as Promise<Value>).then(arrived);
}

/** Lets one caller ask for each of `keys` at once. */
export function askForAll(read: Read, keys: readonly string[], arrived: () => void, held: unknown[]): void {
  for (let i = 0; i < keys.length; i++) held[i] = (read(keys[i] as string) as Promise<Value>).then(arrived);
}

/** Awaits `count` reads of all `keys`. */
export async function readManyInTurn(
  readMany: (keys: readonly string[]) => Promise<readonly unknown[]>,
  keys: readonly string[],
  count: number,
): Promise<number> {
  let found = 0;
  for (let i = 0; i < count; i++) found += (await readMany(keys)).length;
  return found;
}

/** Makes `count` strings of `items` in turn, and returns their length. The number of items must be a power of two. */
export function nameInTurn(name: (item: unknown) => string, items: readonly unknown[], count: number): number {
  const mask = items.length - 1;
  let length = 0;
  for (let i = 0; i < count; i++) length += name(items[i & mask]).length;
  return length;
}
