import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, test } from 'vitest';

import { WriteConflictError } from '../../../src/cloudflare/index.js';
import { waitPatiently } from '../../support/patience.js';
import { openMainDatabase, type MainDatabase } from '../../workers/main-database.js';
import { script } from '../../workers/script.js';

waitPatiently();

let database: MainDatabase;
let objects = 0;

beforeEach(() => {
  database = openMainDatabase();
  script.writes = {
    ...script.writes,
    authorize: ({ headers }) => headers.get('authorization') ?? false,
    apply: (current, change) => {
      if (typeof change !== 'object') throw new Error('secret reason');
      const { base, ...fields } = change as { readonly base?: unknown };
      if (base !== undefined && base !== current?.['name']) throw new WriteConflictError('k', current);
      return { ...current, ...fields };
    },
    parse: (value) => {
      if (typeof value !== 'object' || value === null) throw new Error('secret reason');
      return value as Record<string, unknown>;
    },
  };
});

type Init = { readonly headers?: Record<string, string> };
type Ask = (method: string, body?: BodyInit | null, init?: Init, query?: string) => Promise<Response>;

/** Asks an object of its own, as somebody who may write. */
function setup(): { readonly ask: Ask; readonly flush: () => Promise<boolean> } {
  const stub = env.WRITING.getByName(`face-${(objects += 1)}`);
  return {
    ask: async (method, body = null, init = {}, query = 'key=k') => {
      const response = await stub.fetch(`http://object/?${query}`, {
        ...{ ...init, method, body },
        headers: { authorization: 'ann', 'content-type': 'application/json', ...init.headers },
      });
      // Read to its end: nothing that is under way keeps the object in memory.
      return new Response(await response.arrayBuffer(), response);
    },
    flush: async () => {
      await evictDurableObject(stub);
      script.clock.advance(60_000);
      return runDurableObjectAlarm(stub);
    },
  };
}

/** Status and code of a refusal, which must not say more than it should. */
async function refusalOf(response: Response): Promise<[number, string]> {
  const text = await response.text();
  expect(text).not.toMatch(/secret|\.[jt]s\b|\n\s+at /);
  const { error } = JSON.parse(text) as { error: { code: string; message: string } };
  expect(error.message).not.toBe('');
  expect(response.headers.get('cache-control')).toBe('no-store');
  return [response.status, error.code];
}

describe('PUT', () => {
  test('accepts a JSON value, which is read at once and delivered later', async () => {
    const { ask, flush } = setup();

    const response = await ask('PUT', '{"name":"new"}');

    expect([response.status, await response.json()]).toEqual([202, { accepted: true, key: 'k' }]);
    expect(await (await ask('GET')).json()).toEqual({ name: 'new' });
    expect(await flush()).toBe(true);
    expect(database.batches).toEqual([[['k', { name: 'new' }]]]);
  });
});

describe('PATCH', () => {
  test('changes the value and answers with it', async () => {
    const { ask } = setup();
    await ask('PUT', '{"name":"new"}');

    const response = await ask('PATCH', '{"mail":"m"}', {
      headers: { 'content-type': 'application/merge-patch+json; charset=utf-8' },
    });

    expect(await response.json()).toEqual({ accepted: true, key: 'k', value: { name: 'new', mail: 'm' } });
  });

  test('is accepted although what it makes has no JSON form, and answered without that', async () => {
    script.writes = { ...script.writes, apply: () => ({ count: 1n }) };
    const { ask, flush } = setup();

    const response = await ask('PATCH', '{}');

    expect([response.status, await response.json()]).toEqual([202, { accepted: true, key: 'k' }]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    await flush();
    expect([database.batches, database.errors]).toEqual([[[['k', { count: 1n }]]], []]);
  });

  test('made without knowing the current value is refused, with that value', async () => {
    const { ask } = setup();
    await ask('PUT', '{"name":"theirs"}');

    const refused = await ask('PATCH', '{"base":"old","name":"ours"}');
    const taken = await ask('PATCH', '{"base":"theirs","name":"ours"}');

    expect([refused.status, await refused.json(), taken.status]).toEqual([
      409,
      {
        error: { code: 'SOLOFLIGHT_WRITE_CONFLICT', message: expect.stringContaining('decide anew') },
        key: 'k',
        value: { name: 'theirs' },
      },
      202,
    ]);
    expect(await (await ask('GET')).json()).toEqual({ name: 'ours' });
  });

  test('is refused in a conflict with nothing, or with a value that JSON has no form for, without that value', async () => {
    const { ask } = setup();
    const refused = await ask('PATCH', '{"base":"old","name":"ours"}');
    script.writes = {
      ...script.writes,
      apply: () => {
        throw new WriteConflictError('k', { count: 1n });
      },
    };
    const odd = await setup().ask('PATCH', '{}');

    expect([await refused.json(), await odd.json()]).toMatchObject([{ key: 'k' }, { key: 'k' }]);
    expect([refused.status, odd.status]).toEqual([409, 409]);
  });

  test('is refused where nothing can apply it, and where that fails', async () => {
    const failing = await setup().ask('PATCH', '"nonsense"');
    script.writes = { ...script.writes, apply: undefined as never };

    expect(await refusalOf(failing)).toEqual([422, 'BAD_VALUE']);
    expect(await refusalOf(await setup().ask('PATCH', '{}'))).toEqual([405, 'NO_UPDATES']);
    expect(database.errors).toEqual([]);
  });
});

describe('GET of an object that takes writes', () => {
  test('lets no browser show the old value after an edit, and answers 304 while there is none', async () => {
    const { ask } = setup();
    await ask('PUT', '{"name":"old"}');
    const before = await ask('GET');
    const etag = before.headers.get('etag') ?? '';
    const same = await ask('GET', null, { headers: { 'if-none-match': `"other", W/${etag}` } });
    const head = await ask('HEAD', null, { headers: { 'if-none-match': etag } });
    await ask('PUT', '{"name":"new"}');
    const changed = await ask('GET', null, { headers: { 'if-none-match': etag } });

    expect(before.headers.get('cache-control')).toBe('private, no-cache');
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect([same.status, await same.text(), same.headers.get('etag'), head.status]).toEqual([304, '', etag, 304]);
    expect(same.headers.get('cache-control')).toBe('private, no-cache');
    expect([changed.status, await changed.json()]).toEqual([200, { name: 'new' }]);
  });

  test('says that of what is not there, too', async () => {
    const { ask } = setup();
    await ask('DELETE');

    const response = await ask('GET');

    expect([response.status, response.headers.get('cache-control')]).toEqual([404, 'private, no-cache']);
  });
});

describe('JSON that is nested too deep to be stored', () => {
  test.each([
    ['arrays', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['objects', `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`],
    ['one level too many', `${'['.repeat(501)}${']'.repeat(501)}`],
  ])('is refused for good, not for now: %s', async (_case, body) => {
    script.writes = { ...script.writes, parse: (value) => value as never };

    expect(await refusalOf(await setup().ask('PUT', body))).toEqual([400, 'BAD_JSON']);
    expect(database.errors).toEqual([]);
  });

  test('is told from brackets in texts, and from many that are not nested', async () => {
    script.writes = { ...script.writes, parse: (value) => value as never };
    const { ask } = setup();
    const value = [`${'['.repeat(600)}"{\\"${'{'.repeat(600)}`, ...Array.from({ length: 600 }, () => [])];

    expect((await ask('PUT', JSON.stringify(value))).status).toBe(202);
    expect(await (await ask('GET')).json()).toEqual(value);
    expect((await ask('PUT', `${'['.repeat(500)}${']'.repeat(500)}`)).status).toBe(202);
  });
});

describe('DELETE', () => {
  test('leaves nothing to be read, and is delivered', async () => {
    const { ask, flush } = setup();
    await ask('PUT', '{"name":"new"}');

    expect(await (await ask('DELETE')).json()).toEqual({ accepted: true, key: 'k' });

    const read = await ask('GET');
    expect([read.status, await read.text()]).toEqual([404, expect.stringContaining('NOT_FOUND')]);
    await flush();
    expect(database.batches).toEqual([[['k', undefined]]]);
  });
});

describe('who may not write', () => {
  test.each([
    ['without a hook', undefined, 403],
    ['refused', () => false, 403],
    ['without a name', () => '', 403],
    ['let in by something that is no answer', () => ({}) as never, 403],
    [
      'asked of a hook that fails',
      () => {
        throw new Error('secret reason');
      },
      503,
    ],
    ['with a name without end', () => 'x'.repeat(2_000), 503],
  ])('is told so: %s', async (_case, authorize, status) => {
    script.writes = { ...script.writes, authorize: authorize as never };
    const { ask, flush } = setup();

    for (const method of ['PUT', 'PATCH', 'DELETE'])
      expect(await refusalOf(await ask(method, method === 'DELETE' ? null : '{}'))).toEqual([status, 'NOT_AUTHORIZED']);

    expect(await (await ask('GET')).json()).toEqual({ from: 'upstream' });
    await flush();
    expect(database.batches).toEqual([]);
  });

  test('learns what is missing where there is no hook', async () => {
    script.writes = { ...script.writes, authorize: undefined as never };

    expect(await (await setup().ask('PUT', '{}')).text()).toContain('set `authorize`');
  });

  test('is asked of the request as it came', async () => {
    let seen: Request | undefined;
    script.writes = { ...script.writes, authorize: (request) => (seen = request) instanceof Request };
    await setup().ask('PUT', '{}', { headers: { cookie: 'session=1' } });

    expect([seen?.method, seen?.headers.get('cookie')]).toEqual(['PUT', 'session=1']);
  });
});

describe('a request that is not as it should be', () => {
  const large = JSON.stringify({ text: 'x'.repeat(70_000) });
  /** Without a `content-length`. */
  const stream = (...chunks: (string | Uint8Array)[]): ReadableStream =>
    new ReadableStream({
      start: (controller) => {
        for (const chunk of chunks)
          controller.enqueue(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
        controller.close();
      },
    });

  test.each<[string, number, string, BodyInit, Init?, string?]>([
    ['no JSON', 400, 'BAD_JSON', '{"name":'],
    ['empty', 400, 'BAD_JSON', ''],
    ['no UTF-8', 400, 'BAD_JSON', stream(new Uint8Array([34, 0xff, 34]))],
    ['half a character', 400, 'BAD_JSON', stream('"', new Uint8Array([0xe2, 0x82]))],
    ['too large', 413, 'MESSAGE_TOO_LARGE', large],
    ['too large without saying so', 413, 'MESSAGE_TOO_LARGE', stream(...(large.match(/.{1,1000}/g) ?? []))],
    ['of another type', 415, 'NOT_JSON', '{}', { headers: { 'content-type': 'text/plain' } }],
    ['refused by `parse`', 422, 'BAD_VALUE', '"text"'],
    ['without a key', 400, 'BAD_KEY', '{}', {}, ''],
    ['with two keys', 400, 'BAD_KEY', '{}', {}, 'key=a&key=b'],
    ['with an endless key', 400, 'BAD_KEY', '{}', {}, `key=${'x'.repeat(2_049)}`],
  ])('is refused and stores nothing: %s', async (_case, status, code, body, init, query) => {
    const { ask, flush } = setup();

    expect(await refusalOf(await ask('PUT', body, init, query))).toEqual([status, code]);

    await flush();
    expect(database.batches).toEqual([]);
  });

  test('with another method is told which there are', async () => {
    const response = await setup().ask('POST', '{}');

    expect(response.headers.get('allow')).toBe('GET, HEAD, PUT, PATCH, DELETE');
    expect(await refusalOf(response)).toEqual([405, 'METHOD_NOT_ALLOWED']);
  });

  test('to an object that takes no writes is a 405', async () => {
    const response = await env.SCRIPTED.getByName('reads-only').fetch('http://object/?key=k', { method: 'PUT' });

    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(await refusalOf(response)).toEqual([405, 'METHOD_NOT_ALLOWED']);
  });
});

describe('too many requests', () => {
  test('of one client are refused until some time has passed, and harm no other', async () => {
    script.writes = { ...script.writes, rate: { messages: 2, per: '10s' } };
    const { ask } = setup();
    const put = async (who: string): Promise<number> =>
      (await ask('PUT', '{}', { headers: { authorization: who } })).status;

    expect([await put('ann'), await put('ann'), await put('ann'), await put('bob')]).toEqual([202, 202, 429, 202]);
    script.clock.advance(10_000);
    expect([await put('ann'), await put('ann')]).toEqual([202, 429]);
  });

  test('writes that find no room are told to come back', async () => {
    script.writes = { ...script.writes, maxPending: 1 };
    const { ask } = setup();
    await ask('PUT', '{}');

    const response = await ask('PUT', '{}', {}, 'key=other');

    expect(response.headers.get('retry-after')).toBe('1');
    expect(await refusalOf(response)).toEqual([503, 'SOLOFLIGHT_TOO_MANY_WRITES']);
  });
});

describe('what fails inside', () => {
  test('is reported, and not told', async () => {
    script.writes = {
      ...script.writes,
      merge: () => {
        throw new Error('secret reason');
      },
    };
    const { ask } = setup();
    await ask('PUT', '{"n":1}');

    expect(await refusalOf(await ask('PUT', '{"n":2}'))).toEqual([500, 'INTERNAL_ERROR']);
    expect(database.errors).toContain('Error: secret reason');
  });
});
