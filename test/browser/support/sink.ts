import type { BrowserContext, Page } from 'playwright-core';

/** A delivery that reached the sink. */
interface Delivered {
  readonly tab: Page;
  readonly key: string;
  readonly value: string | undefined;
}

/** The main database of a test, beyond the network of its tabs. */
export interface Sink {
  readonly delivered: Delivered[];
  /** While it is down, deliveries fail. */
  down: boolean;
  /** What was delivered, as `key=value`, or `key` for a delete. */
  readonly log: string[];
}

declare global {
  interface Window {
    /** The sink, to code in the tab. */
    readonly deliver: (writes: readonly Pick<Delivered, 'key' | 'value'>[]) => Promise<void>;
  }
}

export async function openSink(profile: BrowserContext): Promise<Sink> {
  const delivered: Delivered[] = [];
  const sink: Sink = {
    delivered,
    down: false,
    get log() {
      return delivered.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`));
    },
  };
  await profile.exposeBinding('deliver', ({ page }, writes: Parameters<Window['deliver']>[0]) => {
    if (sink.down) throw new Error('the sink is down');
    for (const { key, value } of writes) delivered.push({ tab: page, key, value });
  });
  return sink;
}
