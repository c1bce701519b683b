import { describe, expect, test } from 'vitest';

import { openTab, origin } from '../../browser/support/tabs.js';

describe('a queue in a full localStorage', () => {
  test('keeps none of the writes of a call that finds no room, and all that it held', async () => {
    const tab = await openTab();

    const left = await tab.evaluate(async () => {
      const { codeOf, sampleWrite, webStorageQueue } = window.soloflight;
      const queue = webStorageQueue();
      await queue.put([sampleWrite(1, 'before'), sampleWrite(2, 'untouched')]);
      const long = 'x'.repeat(3_000_000);
      const code = await codeOf(() => queue.put([sampleWrite(1, 'after'), sampleWrite(3, long), sampleWrite(4, long)]));
      const held = await queue.load();
      return {
        code,
        held: held.map((write) => ('value' in write ? write.value : write.name)),
        items: localStorage.length,
      };
    });

    expect(left.code).toBe('SOLOFLIGHT_STORAGE_FULL');
    expect([left.held.map(String).toSorted(), left.items]).toEqual([['before', 'untouched'], 2]);
  });
});

describe('a queue in IndexedDB without room', () => {
  test('keeps none of the writes of the call, and all that it held', async () => {
    const tab = await openTab();
    const browser = await tab.context().newCDPSession(tab);
    // Before anything is written: how much room there is, the browser remembers for a while.
    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000 });

    const left = await tab.evaluate(async () => {
      const { codeOf, indexedDbQueue, sampleWrite } = window.soloflight;
      const queue = indexedDbQueue();
      await queue.put([sampleWrite(1, 'before')]);
      const noise = crypto.getRandomValues(new Uint8Array(65_000));
      const writes = [1, 2, 3, 4].map((sequence) => sampleWrite(sequence, [noise, noise.slice().reverse()]));
      const code = await codeOf(() => queue.put(writes));
      return [code, (await queue.load()).map((write) => ('value' in write ? write.value : write.name))];
    });

    expect(left).toEqual(['SOLOFLIGHT_STORAGE_FULL', ['before']]);
  });
});

describe('what others wrote into a queue', () => {
  test('in localStorage is told instead of a write, is left alone, and costs the others nothing', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { sampleWrite, webStorageQueue } = window.soloflight;
      const queue = webStorageQueue();
      await queue.put([sampleWrite(1, 'whole')]);
      const row = localStorage.getItem('soloflight-writes:writer-1')!;
      const broken = {
        garbage: 'hello',
        empty: '',
        version: row.replace('soloflight-write/1', 'soloflight-write/2'),
        fields: row.replace('"sequence":1', '"sequence":"1"'),
        copied: row,
        payload: row.replace('"whole"', '"whole'),
        codec: row.replace('"codec":"json"', '"codec":"other"'),
      };
      for (const [id, text] of Object.entries(broken))
        localStorage.setItem(`soloflight-writes:${id}`, text.replace(id === 'copied' ? '' : '"writer-1"', `"${id}"`));
      const found = await queue.load();
      const names = found.map((write) =>
        'value' in write ? write.value : ((write as { code?: string }).code ?? write.name),
      );
      return { names: names.map(String).toSorted(), dead: (await queue.listDead()).length, items: localStorage.length };
    });

    const broken = Array.from({ length: 7 }, () => 'SOLOFLIGHT_UNDECODABLE');
    expect(outcome).toEqual({ names: [...broken, 'whole'], dead: 0, items: 8 });
  });

  test('in IndexedDB is told instead of a write, is left alone, and costs the others nothing', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { indexedDbQueue, sampleWrite } = window.soloflight;
      const queue = indexedDbQueue();
      await queue.put([sampleWrite(1, 'whole')]);
      const database = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('soloflight-writes');
        opening.addEventListener('success', () => resolve(opening.result));
      });
      const store = database.transaction('writes', 'readwrite').objectStore('writes');
      store.put({ id: 'version', format: 2, dead: 0, write: sampleWrite(2, 'newer format') });
      store.put({ id: 'garbage', format: 1, dead: 0, write: 'no write' });
      store.put({ id: 'copied', format: 1, dead: 0, write: sampleWrite(1, 'whole') });
      store.put({ id: 'letter', format: 1, dead: 1, write: { ...sampleWrite(3, ''), dead: 'no reason' } });
      const shown = (found: readonly object[]) =>
        found.map((write) => ('value' in write ? write.value : (write as { code?: string }).code));
      return [
        shown(await queue.load())
          .map(String)
          .toSorted(),
        shown(await queue.listDead()),
      ];
    });

    const undecodable = 'SOLOFLIGHT_UNDECODABLE';
    expect(outcome).toEqual([[undecodable, undecodable, undecodable, 'whole'], [undecodable]]);
  });
});

describe.each(['indexedDbQueue', 'webStorageQueue'] as const)('a suspended former owner of an %s', (kind) => {
  test('delivers no old write after a newer one', async () => {
    const tab = await openTab();

    const delivered = await tab.evaluate(async (kind) => {
      const { soloflight } = window;
      const delivered: unknown[] = [];
      const open = () =>
        new soloflight.WriteBehind<string>({
          queue: soloflight[kind](),
          flushEvery: Infinity,
          sink: (batch) => void delivered.push(...batch.map(({ value }) => value)),
        });
      const former = open();
      await former.put('k', 'old');
      const leader = open();
      await leader.open({ takeOver: true });
      await leader.put('k', 'new');
      await leader.flush();

      // It wakes up, and goes on where it was.
      const codes = [
        await soloflight.codeOf(() => former.flush()),
        await soloflight.codeOf(() => former.put('k', 'x')),
      ];
      await leader.close();
      return [...delivered, ...codes];
    }, kind);

    expect(delivered.slice(0, 1)).toEqual(['new']);
    expect(delivered.at(-1)).toBe('SOLOFLIGHT_QUEUE_OWNED');
    expect(delivered).not.toContain('old');
  });

  test('whose page was reloaded is not waited for', async () => {
    const tab = await openTab();
    await tab.evaluate(async (kind) => {
      const { soloflight } = window;
      const writes = new soloflight.WriteBehind<string>({ queue: soloflight[kind](), sink: () => {} });
      await writes.put('k', 'kept');
    }, kind);
    await tab.reload();

    const read = await tab.evaluate(async (kind) => {
      const { soloflight } = window;
      const queue = soloflight[kind]();
      // Far less than a lease lasts.
      const writes = new soloflight.WriteBehind<string>({ queue, ownerWait: '5s', sink: () => {} });
      return writes.read('k');
    }, kind);

    expect(read).toBe('kept');
  });
});

describe('an indexedDbQueue of an origin that may store nothing more', () => {
  test('is drained', async () => {
    const tab = await openTab();
    const browser = await tab.context().newCDPSession(tab);
    // Before anything is written: how much room there is, the browser remembers for a while.
    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 200_000 });
    await tab.evaluate(async () => {
      const { indexedDbQueue, WriteBehind } = window.soloflight;
      const delivered: string[] = [];
      const writes = new WriteBehind<Uint8Array>({
        queue: indexedDbQueue(),
        flushEvery: Infinity,
        sink: (batch) => void delivered.push(...batch.map(({ key }) => key)),
      });
      for (const key of ['a', 'b']) await writes.put(key, crypto.getRandomValues(new Uint8Array(30_000)));
      Object.assign(window, { writes, delivered });
    });
    const outcome = await tab.evaluate(async () => {
      const { writes, delivered } = window as unknown as {
        readonly writes: InstanceType<typeof window.soloflight.WriteBehind<Uint8Array>>;
        readonly delivered: string[];
      };
      let refused = false;
      for (const tries of Array.from({ length: 60 }).keys()) {
        const noise = crypto.getRandomValues(new Uint8Array(tries < 5 ? 60_000 : 1_000));
        await writes.put(`c${tries}`, noise).catch(() => (refused = tries >= 5));
      }
      await writes.flush();
      const { pending } = writes.status();
      await writes.close();
      return {
        refused,
        pending,
        ab: delivered.slice(0, 2),
        left: (await window.soloflight.indexedDbQueue().load()).length,
      };
    });

    expect(outcome).toEqual({ refused: true, pending: 0, ab: ['a', 'b'], left: 0 });
  });
});
