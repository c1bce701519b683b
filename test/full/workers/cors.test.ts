import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { resolveObjectOptions } from '../../../src/cloudflare/object-options.js';
import { waitPatiently } from '../../support/patience.js';
import { openMainDatabase } from '../../workers/main-database.js';
import { script } from '../../workers/script.js';

waitPatiently();

const APP = 'https://app.example';
let objects = 0;

beforeEach(() => {
  openMainDatabase();
  script.writes = { ...script.writes, authorize: ({ headers }) => headers.get('authorization') === 'ann' };
});

afterEach(() => {
  script.object = {};
});

/** Asks an object of its own with this option `cors`, as a page of `origin` does. */
function ask(cors: typeof script.object.cors, method: string, headers: Record<string, string>): Promise<Response> {
  script.object = cors === undefined ? {} : { cors };
  const body = method === 'PUT' ? '{}' : null;
  return env.WRITING.getByName(`cors-${(objects += 1)}`).fetch('http://object/?key=k', { method, headers, body });
}

function allowed({ headers }: Response): [origin: string | null, credentials: string | null] {
  return [headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')];
}

describe('a page of another origin', () => {
  const preflight = {
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'authorization,content-type',
  };

  test.each<[string, typeof script.object.cors, [string | null, string | null]]>([
    [APP, [APP], [APP, 'true']],
    [APP, '*', ['*', null]],
    ['https://evil.example', [APP], [null, null]],
    [`${APP}.evil.example`, [APP], [null, null]],
    ['null', [APP], [null, null]],
    [APP, [], [null, null]],
  ])('of %s asks first, where `cors` is %o', async (origin, cors, expected) => {
    const response = await ask(cors, 'OPTIONS', { origin, ...preflight });

    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(allowed(response)).toEqual(expected);
    expect(response.headers.get('access-control-allow-methods')).toBe('GET, HEAD, PUT, PATCH, DELETE');
    expect(response.headers.get('access-control-allow-headers')).toBe('authorization,content-type');
  });

  test.each(['GET', 'PUT'])('may read the answer to %s, a refusal included', async (method) => {
    const response = await ask([APP], method, { origin: APP });

    expect(response.status).toBe(method === 'GET' ? 200 : 403);
    expect(allowed(response)).toEqual([APP, 'true']);
    expect(response.headers.get('vary')).toBe('origin');
    expect(response.headers.get('access-control-expose-headers')).toContain('etag');
    expect(await response.json()).toBeDefined();
  });

  test('gets an answer that tells caches of origins, although it may not read it', async () => {
    const response = await ask([APP], 'GET', { origin: 'https://evil.example' });

    expect([allowed(response), response.headers.get('vary')]).toEqual([[null, null], 'origin']);
  });

  test('hears nothing of `cors` without the option', async () => {
    expect(allowed(await ask(undefined, 'GET', { origin: APP }))).toEqual([null, null]);
    expect((await ask(undefined, 'OPTIONS', { origin: APP, ...preflight })).status).toBe(405);
  });

  test('opens a WebSocket all the same', async () => {
    const response = await ask([APP], 'GET', { origin: APP, upgrade: 'websocket', authorization: 'ann' });

    expect([response.status, response.webSocket === null]).toEqual([101, false]);
  });
});

describe('misuse is said clearly', () => {
  test.each(['https://app.example', [`${APP}/`], ['app.example'], [1], true, ['*']])('`cors: %o`', (cors) => {
    expect(() => resolveObjectOptions({ ttl: 1, cors: cors as never })).toThrow(
      /Expected `cors` to be '\*', or an array/,
    );
  });
});
