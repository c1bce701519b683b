import { afterEach, expect, test, vi } from 'vitest';

import { mergedWrites } from '../../examples/cache-sync/page/merged-writes.js';
import {
  applied,
  changeOf,
  edited,
  FIELDS,
  mergedEdits,
  type EditableField,
  type EditableProfile,
  type FieldName,
  type Profile,
} from '../../examples/cache-sync/profile.js';
import { sharedWrites } from '../../src/browser/shared-writes.js';
import { defineWrites, mapStorage, TieredCache } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind } from '../../src/writes/index.js';
import { fc, runs } from '../support/property.js';
import { StubTabs, turns } from '../support/stub-tabs.js';

const BASE: Profile = { name: { value: 'Ada', at: 0, by: 'them' }, mail: { value: 'a@b', at: 0, by: 'them' } };
const TABS = 2;

/** The tabs of one browser, as the page sets them up, and the object of one profile. */
function setup(delay: () => number, latency: number) {
  const browser = new StubTabs(delay);
  const [queue, storage] = [memoryQueue(), mapStorage()];
  let object = BASE;
  let edits = 0;
  const accepted: Record<FieldName, EditableField[]> = { name: [BASE.name], mail: [BASE.mail] };
  const tabs = Array.from({ length: TABS }, (_, id) => {
    browser.current = id;
    const clock = manualClock({ random: () => (id + 1) / 10 });
    const writes = sharedWrites<EditableProfile>({
      ...{ name: 'edits', clock },
      open: () =>
        new WriteBehind<EditableProfile>({
          ...{ clock, queue, flushEvery: Infinity, merge: mergedEdits },
          sink: async (batch) => {
            await turns(latency);
            for (const { value } of batch) object = applied(object, changeOf(value!), 1_000) as Profile;
          },
        }),
    });
    const cache = new TieredCache<EditableProfile>({
      ...{ clock, ttl: '1h', maxDuration: Infinity, storage },
      upstream: async () => {
        await turns(latency);
        return object;
      },
      writes: defineWrites(mergedWrites(writes)),
    });
    const edit = async (field: FieldName): Promise<void> => {
      browser.current = id;
      const at = (edits += 1);
      const values = { [field]: `${field} ${at}` };
      let own = BASE as EditableProfile;
      await cache.update('me', (seen = BASE) => (own = edited(seen, values, { at, by: 'me' })));
      accepted[field].push(own[field]);
    };
    return { edit, flush: () => writes.flush() };
  });
  /** Fields of which the object has not the newest edit. Two tabs may edit a field at the same instant. */
  const outdated = (): unknown =>
    FIELDS.flatMap((field) => {
      const newest = Math.max(...accepted[field].map(({ at }) => at));
      const values = accepted[field].filter(({ at }) => at === newest).map(({ value }) => value);
      return values.includes(object[field].value) ? [] : [{ is: object[field].value, values }];
    });
  return { tabs, outdated };
}

afterEach(() => vi.unstubAllGlobals());

test('an edit that waits is not forgotten when another field is edited, in its own tab or in another one', async () => {
  for (const other of [0, 1]) {
    const { tabs, outdated } = setup(() => 2, 3);
    for (let edit = 0; edit < 5; edit += 1) await tabs[0]!.edit('name');
    await tabs[other]!.edit('mail');

    await tabs[0]!.flush();

    expect(outdated()).toEqual([]);
  }
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ tab: fc.nat(TABS - 1), edit: fc.constantFrom(...FIELDS), wait: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ tab: fc.nat(TABS - 1), flush: fc.constant(true), wait: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ turns: fc.nat(60) }) },
);

test('the object ends with the newest edit of each field, whichever tabs edit while others wait or are delivered', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(40),
      fc.array(fc.nat(12), { minLength: 1, maxLength: 5 }),
      fc.array(step, { maxLength: 25, size: 'max' }),
      async (latency, delays, steps) => {
        let messages = 0;
        const { tabs, outdated } = setup(() => delays[(messages += 1) % delays.length]!, latency);
        const under: Promise<void>[] = [];
        for (const done of steps) {
          if ('turns' in done) {
            await turns(done.turns);
            continue;
          }
          const call = 'edit' in done ? tabs[done.tab]!.edit(done.edit) : tabs[done.tab]!.flush();
          under.push(call);
          if (done.wait) await call;
        }
        await Promise.all(under);
        await tabs[0]!.flush();

        expect(outdated()).toEqual([]);
        vi.unstubAllGlobals();
      },
    ),
    { numRuns: runs(150), timeout: 5_000 },
  );
});
