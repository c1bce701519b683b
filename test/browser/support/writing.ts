import type { Page } from 'playwright-core';

export type Queue = 'indexedDbQueue' | 'webStorageQueue';

export interface Writing {
  readonly writes: ReturnType<typeof window.soloflight.sharedWrites<string>>;
}

/** Lets `tab` take part in writing. */
export async function join(tab: Page, queue: Queue = 'indexedDbQueue', flushEvery = 10): Promise<void> {
  await tab.evaluate(
    ([queue, flushEvery]) => {
      const { sharedWrites, WriteBehind } = window.soloflight;
      const writes = sharedWrites({
        name: 'profile',
        open: () =>
          new WriteBehind<string>({
            queue: window.soloflight[queue](),
            sink: (batch) => window.deliver(batch.map(({ key, value }) => ({ key, value }))),
            flushEvery,
            retry: { initial: 10, max: 20 },
          }),
      });
      Object.assign(window, { writes });
    },
    [queue, flushEvery] as const,
  );
}

export async function joinLeading(tab: Page, queue?: Queue): Promise<void> {
  await join(tab, queue);
  await leads(tab);
}

export const leads = (tab: Page): Promise<unknown> =>
  tab.waitForFunction(() => (window as unknown as Writing).writes.leading);

export const put = (tab: Page, key: string, value: string): Promise<void> =>
  tab.evaluate(([key, value]) => (window as unknown as Writing).writes.put(key, value), [key, value] as const);

export const read = (tab: Page, key: string): Promise<string | undefined> =>
  tab.evaluate((key) => (window as unknown as Writing).writes.read(key), key);
