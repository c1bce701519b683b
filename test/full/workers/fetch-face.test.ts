import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import { respond } from '../../../src/cloudflare/json-face.js';
import { resolveObjectOptions } from '../../../src/cloudflare/object-options.js';
import { waitPatiently } from '../../support/patience.js';
import { script, type Product } from '../../workers/script.js';

waitPatiently();

let loads: number;

beforeEach(() => {
  loads = 0;
  script.upstream = async (key) => ({ id: key, load: (loads += 1) });
});

function ask(name: string, query = `key=${name}`, init?: RequestInit): Promise<Response> {
  return env.SCRIPTED.getByName(name).fetch(`http://object/?${query}`, init);
}

describe('GET', () => {
  test('answers JSON, and says how old it is and how long it may be kept', async () => {
    const first = await ask('aging');
    script.clock.advance(4_500);
    const second = await ask('aging');

    expect(await first.json()).toEqual({ id: 'aging', load: 1 });
    expect(headersOf(first)).toEqual([
      '0',
      'max-age=10, stale-while-revalidate=50',
      'soloflight; fwd=miss; stored; ttl=10',
      'application/json',
    ]);
    expect(headersOf(second)).toEqual([
      '4',
      'max-age=10, stale-while-revalidate=50',
      'soloflight; hit; ttl=5; detail=memory',
      'application/json',
    ]);
  });

  test('says when it is a fallback', async () => {
    await ask('fallback');
    script.clock.advance(120_000);
    script.upstream = () => {
      throw new Error('secret reason');
    };

    const response = await ask('fallback');

    expect(response.status).toBe(200);
    expect(response.headers.get('age')).toBe('120');
    expect(response.headers.get('cache-status')).toContain('detail=stale-if-error');
  });

  test('of nothing is a 404 with a JSON error', async () => {
    script.upstream = () => undefined as unknown as Product;

    const response = await ask('nothing');

    expect([response.status, await codeOf(response)]).toEqual([404, 'NOT_FOUND']);
  });
});

describe('HEAD', () => {
  test('answers the same without a body', async () => {
    const response = await ask('head', undefined, { method: 'HEAD' });

    expect([response.status, response.headers.get('age'), await response.text()]).toEqual([200, '0', '']);
  });
});

describe('what can not be answered', () => {
  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is a 405', async (method) => {
    const response = await ask('method', undefined, { method });

    expect([response.status, response.headers.get('allow'), await codeOf(response)]).toEqual([
      405,
      'GET, HEAD',
      'METHOD_NOT_ALLOWED',
    ]);
    expect(loads).toBe(0);
  });

  test.each([
    ['without a key', ''],
    ['with two keys', 'key=a&key=b'],
    ['with a key that is too long', `key=${'k'.repeat(2_049)}`],
  ])('a request %s is a 400', async (_what, query) => {
    const response = await ask('bad-key', query);

    expect([response.status, await codeOf(response)]).toEqual([400, 'BAD_KEY']);
    expect(loads).toBe(0);
  });

  test('an upstream that fails is a 502 that tells strangers nothing', async () => {
    script.upstream = () => {
      throw new Error('password: hunter2');
    };

    const response = await ask('failing');
    const text = await response.text();

    expect(response.status).toBe(502);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(text).toContain('UPSTREAM_FAILED');
    expect(text).not.toMatch(/hunter2|\.ts|at /);
  });

  test('a refusal of the cache is a 503', async () => {
    script.upstream = (key, load) => load.execute(key, () => ({ id: key, load: 0 }));

    const response = await ask('refused');

    expect([response.status, response.headers.get('retry-after'), await codeOf(response)]).toEqual([
      503,
      '1',
      'SOLOFLIGHT_REENTRANT_FLIGHT',
    ]);
  });

  test('a value without a JSON form is named', async () => {
    script.upstream = () => ({ id: 'big', load: 1n }) as unknown as Product;
    const big = await ask('big');
    script.upstream = () => ({ id: 'function', load: () => 1 }) as unknown as Product;
    const unsendable = await ask('function');

    expect([big.status, await messageOf(big)]).toEqual([500, "The value of 'big' has no JSON form"]);
    expect([unsendable.status, await messageOf(unsendable)]).toEqual([
      502,
      "The upstream's value of 'function' is not plain data",
    ]);
  });

  test('an object that is set up wrongly is a 500 without details, which go to the logs', async () => {
    const reported = vi.spyOn(globalThis, 'reportError').mockImplementation(() => {});

    const response = await env.UNCONFIGURED.getByName('any').fetch('http://object/?key=a');

    expect([response.status, await codeOf(response)]).toEqual([500, 'INTERNAL_ERROR']);
    expect(String(reported.mock.calls[0]?.[0])).toContain('`configure`');
    reported.mockRestore();
  });
});

function headersOf({ headers }: Response): (string | null)[] {
  return ['age', 'cache-control', 'cache-status', 'content-type'].map((name) => headers.get(name));
}

async function codeOf(response: Response): Promise<string> {
  return (await response.json<{ error: { code: string } }>()).error.code;
}

async function messageOf(response: Response): Promise<string> {
  return (await response.json<{ error: { message: string } }>()).error.message;
}

describe('the option `cacheControl`', () => {
  test('is what values are sent with, and must be the text of a header', async () => {
    const story = { status: 'hit', tier: 'memory', value: 1, age: 0, freshFor: 1, staleFor: 1 };
    const lookup = async (): Promise<never> => story as never;
    const cacheControl = 'public, max-age=5';

    const response = await respond(new Request('http://object/?key=k'), { name: 'test', lookup, cacheControl });

    expect(response.headers.get('cache-control')).toBe(cacheControl);
    expect(resolveObjectOptions({ ttl: 1, cacheControl }).cacheControl).toBe(cacheControl);
    for (const wrong of ['', 'a\nb', 1]) {
      expect(() => resolveObjectOptions({ ttl: 1, cacheControl: wrong as string })).toThrow(/`cacheControl`/);
    }
  });
});
