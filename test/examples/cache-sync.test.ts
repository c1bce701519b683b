import { describe, expect, onTestFinished, test } from 'vitest';

import { ProfileTable } from '../../examples/cache-sync/database/profile-table.js';
import { startDatabase } from '../../examples/cache-sync/database/server.js';
import {
  applied,
  changeOf,
  covers,
  edited,
  mergedEdits,
  newest,
  parseChange,
  resolved,
  type ConflictPolicy,
  type EditableProfile,
  type Field,
  type Profile,
} from '../../examples/cache-sync/profile.js';
import { fc } from '../support/property.js';

const NOW = 1_000_000;

const profileOf = (name: string, mail: string, at = 0, by = 'them'): Profile => ({
  name: { value: name, at, by },
  mail: { value: mail, at, by },
});

const author = fc.constantFrom('me', 'you', 'they');
const field: fc.Arbitrary<Field> = fc.record({ value: fc.string({ minLength: 1 }), at: fc.nat(20), by: author });
const profile: fc.Arbitrary<Profile> = fc.record({ name: field, mail: field });

/** An edit of `base` by me. */
const editOf = (base: Profile, values: { name?: string; mail?: string }, at: number): EditableProfile =>
  edited(base, values, { at, by: 'me' });

describe('edits of a profile', () => {
  test('are sent alone, with what their editor saw', () => {
    const change = changeOf(editOf(profileOf('Ada', 'a@b', 5), { name: 'Ada King' }, 10));

    expect(change).toEqual({ name: { value: 'Ada King', at: 10, by: 'me', base: 5 } });
    expect(parseChange(JSON.parse(JSON.stringify(change)))).toEqual(change);
    expect(changeOf(editOf(profileOf('Ada', 'a@b'), { name: 'Ada' }, 10))).toEqual({});
  });

  test('of one’s own edits are no conflict, whatever was delivered meanwhile', () => {
    const first = editOf(profileOf('Ada', 'a@b', 5), { name: 'Ada K' }, 10);
    const second = editOf(first, { name: 'Ada King' }, 20);

    const delivered = applied(profileOf('Ada', 'a@b', 5), changeOf(first), NOW);
    expect(delivered).not.toBe('conflict');

    expect(applied(delivered as Profile, changeOf(second), NOW)).toMatchObject({ name: { value: 'Ada King', at: 20 } });
  });

  test('conflict with edits of others that their editor did not see, of the same field alone', () => {
    const mine = changeOf(editOf(profileOf('Ada', 'a@b', 5), { name: 'Mine' }, 10));
    const theirs = (name: 'name' | 'mail'): Profile => ({
      ...profileOf('Ada', 'a@b', 5),
      [name]: { value: 'theirs', at: 7, by: 'them' },
    });

    expect(applied(theirs('name'), mine, NOW)).toBe('conflict');
    expect(applied(theirs('mail'), mine, NOW)).toMatchObject({ name: { value: 'Mine' }, mail: { value: 'theirs' } });
  });

  test('never lie further ahead of the clock than a minute', () => {
    const change = changeOf(editOf(profileOf('Ada', 'a@b'), { name: 'From the future' }, NOW * 10));

    expect(applied(profileOf('Ada', 'a@b'), change, NOW)).toMatchObject({ name: { at: NOW + 60_000 } });
  });

  test('that are merged while they wait are all sent, each field as it was edited last', () => {
    const base = profileOf('Ada', 'a@b', 5);
    const name = editOf(base, { name: 'New' }, 10);
    const mail = editOf(base, { mail: 'new@b' }, 11);
    const both = mergedEdits(name, mail);

    expect(changeOf(both)).toEqual({ ...changeOf(name), ...changeOf(mail) });
    expect(changeOf(mergedEdits(both, editOf(base, { name: 'Newer' }, 12)))).toMatchObject({
      name: { value: 'Newer', base: 5 },
      mail: { value: 'new@b' },
    });
  });
});

describe('what a conflict is resolved to', () => {
  test('is taken by who held the other value, whatever the policy', () => {
    fc.assert(
      fc.property(
        ...([profile, profile, fc.nat(30), fc.constantFrom<ConflictPolicy>('newest', 'mine', 'theirs')] as const),
        (base, remote, at, policy) => {
          const local = editOf(base, { name: 'mine' }, at);

          const outcome = resolved(policy, local, remote);

          return outcome === 'remote' || applied(remote, changeOf(outcome), NOW) !== 'conflict';
        },
      ),
    );
    expect(
      resolved('mine', editOf(profileOf('Ada', 'a@b'), { name: 'Mine' }, 1), profileOf('Theirs', 'a@b', 5)),
    ).not.toBe('remote');
  });

  test('keeps a field that only one of them has edited', () => {
    const base = profileOf('Ada', 'a@b', 5);
    const local = editOf(base, { name: 'Mine', mail: 'mine@b' }, 10);
    const remote = { ...base, name: { value: 'Theirs', at: 20, by: 'them' } };

    expect(changeOf(resolved('theirs', local, remote) as EditableProfile)).toEqual({
      mail: { value: 'mine@b', at: 10, by: 'me', base: 5 },
    });
    expect(resolved('theirs', editOf(base, { name: 'Mine' }, 10), remote)).toBe('remote');
    expect(resolved('newest', editOf(base, { name: 'Mine' }, 10), remote)).toBe('remote');
    expect(resolved('newest', editOf(base, { name: 'Mine' }, 30), remote)).toMatchObject({ name: { value: 'Mine' } });
    expect(resolved('mine', editOf(base, { name: 'Mine' }, 10), remote)).toMatchObject({
      name: { value: 'Mine', at: 21, base: 20 },
    });
  });

  test('between an object and the database is the later edit of each field, in whatever order they meet', () => {
    fc.assert(
      fc.property(profile, profile, (one, other) => {
        const met = newest(one, other);

        expect(covers(met, one) && covers(met, other)).toBe(true);
        expect([met.name.at, met.mail.at]).toEqual([newest(other, one).name.at, newest(other, one).mail.at]);
      }),
    );
  });
});

describe('the main database', () => {
  const open = (): ProfileTable => {
    const table = new ProfileTable(':memory:');
    onTestFinished(() => table.close());
    return table;
  };
  const edit = (name: string, at: number): Profile => ({
    ...profileOf('Ada', 'ada@example.org'),
    name: { value: name, at, by: 'me' },
  });

  test('takes each write once, however often it is delivered', () => {
    const table = open();
    const delivery = { id: 'a-1', key: 'ada', value: edit('New', 10) };

    expect(table.take([delivery])).toEqual(['ok']);
    table.edit('ada', 'name', 'By a script');
    expect(table.take([delivery])).toEqual(['ok']);

    expect(table.get('ada')?.name.value).toBe('By a script');
  });

  test('answers with what it has where that is newer, and rejects what there is not', () => {
    const table = open();
    table.edit('ada', 'name', 'By a script');

    const outcomes = table.take([
      { id: 'a-1', key: 'ada', value: edit('Older', 10) },
      { id: 'a-2', key: 'nobody', value: edit('New', 10) },
    ]);

    expect(outcomes).toEqual([{ conflict: table.get('ada') }, { reject: "There is no profile 'nobody'" }]);
    expect(table.get('ada')?.name.value).toBe('By a script');
  });

  test('has a JSON error for what it does not know, and takes nothing of a batch that is broken', async () => {
    const database = await startDatabase(':memory:');
    onTestFinished(() => database.close());
    const post = (path: string, body: string): Promise<Response> =>
      fetch(`${database.url}${path}`, { method: 'POST', body });

    const answers = [
      await fetch(`${database.url}/profiles/nobody`),
      await fetch(`${database.url}/nothing`),
      await post('/profiles/ada/edit', '{"field":"admin","value":"x"}'),
      await post('/profiles/nobody/edit', '{"field":"name","value":"x"}'),
      await post('/batches', JSON.stringify([{ id: 'a-1', key: 'ada', value: edit('New', 10) }, null])),
      await post('/batches', 'nonsense'),
    ];

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 400, 404, 400, 400]);
    for (const answer of answers) expect(await answer.json()).toEqual({ error: expect.any(String) });
    expect(database.table.get('ada')?.name.value).toBe('Ada Lovelace');
    expect(database.batches).toEqual([]);
  });
});
