import { expect, test } from 'vitest';

import { cachedFetch } from '../../src/http/index.js';
import { manualClock } from '../../src/testing/index.js';
import { settled } from '../support/http-world.js';
import { fc, runs } from '../support/property.js';
import {
  currentAge,
  freshnessLifetime,
  mayReuse,
  mayStore,
  type ModelRequest,
  type ModelResponse,
} from './http-model.js';

const NOW = 1_700_000_000_000;

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });
const seconds = fc.integer({ min: 0, max: 8 });

const requests: fc.Arbitrary<ModelRequest> = fc.record({
  authorization: rarely(),
  noStore: rarely(),
  noCache: rarely(),
  maxAge: rare(seconds),
  minFresh: rare(seconds),
  maxStale: optional(fc.oneof(seconds, fc.constant(true as const))),
  language: fc.constantFrom(undefined, 'en', 'de'),
});
const responses: fc.Arbitrary<ModelResponse> = fc.record({
  status: fc.constantFrom(200, 200, 200, 203, 299, 301, 302, 404, 410, 500, 503),
  directives: fc
    .subarray(
      [
        ...['public', 'private', 'no-store', 'no-cache', 'must-revalidate', 'proxy-revalidate', 'must-understand'],
        ...['immutable', 'unknown'],
      ],
      { maxLength: 3 },
    )
    .map((names) => new Set(names)),
  maxAge: optional(seconds),
  sMaxage: rare(seconds),
  staleWhileRevalidate: rare(seconds),
  expires: rare(fc.oneof(fc.integer({ min: -5, max: 12 }), fc.constant('invalid' as const))),
  date: optional(fc.integer({ min: -5, max: 5 })),
  age: rare(seconds),
  vary: fc.constantFrom(undefined, undefined, undefined, 'accept-language', '*'),
});

test('a response is reused without asking the origin exactly where RFC 9111 allows it', async () => {
  let reused = 0;
  await fc.assert(
    fc.asyncProperty(
      ...([requests, responses, requests, seconds, fc.boolean(), fc.boolean()] as const),
      async (first, response, second, later, shared, etag) => {
        const allowed = mayStore(first, response, shared) && mayReuse(first, response, second, later, shared);

        const isReused = await decide(first, response, second, later, { shared, etag });

        reused += isReused ? 1 : 0;
        if (!allowed) expect(isReused).toBe(false);
        // What never was fresh, and can't be validated, is not kept for a client that would take it all the same.
        const wasFresh = freshnessLifetime(response, shared) > 0;
        if (allowed && (wasFresh || etag)) expect(isReused).toBe(true);
      },
    ),
    { numRuns: runs(3_000) },
  );
  expect(reused).toBeGreaterThan(runs(3_000) / 30);
});

test('an answer is shared with a caller who joins exactly where it would be reused a moment later', async () => {
  await fc.assert(
    fc.asyncProperty(requests, responses, requests, fc.boolean(), async (first, response, second, shared) => {
      const allowed = mayStore(first, response, shared) && mayReuse(first, response, second, 0, shared);

      const asked = await collapse(first, response, second, shared);

      if (!allowed) expect(asked).toBe(2);
      const isFresh = freshnessLifetime(response, shared) > currentAge(response, 0);
      // One with `max-age=0` is for nothing that was asked before it.
      const joins = isFresh && !second.noStore && second.maxAge !== 0;
      if (allowed && joins) expect(asked).toBe(1);
    }),
    { numRuns: runs(1_000) },
  );
});

/** Whether the second of two requests is answered without the origin. */
async function decide(
  first: ModelRequest,
  response: ModelResponse,
  second: ModelRequest,
  later: number,
  { shared, etag }: { readonly shared: boolean; readonly etag: boolean },
): Promise<boolean> {
  const clock = manualClock({ now: NOW });
  const fetch = cachedFetch({ fetch: async () => asResponse(response, etag), shared, clock });
  await (await fetch('http://origin/', asInit(first))).text();
  clock.advance(later * 1_000);
  const status = (await fetch('http://origin/', asInit(second))).headers.get('cache-status') ?? '';
  await fetch.cache.idle();
  return status.startsWith('soloflight; hit');
}

/** How often the origin is asked for two requests of which the second joins the first. */
async function collapse(
  first: ModelRequest,
  response: ModelResponse,
  second: ModelRequest,
  shared: boolean,
): Promise<number> {
  let asked = 0;
  let answer = (): void => {};
  const gate = new Promise<void>((resolve) => (answer = resolve));
  const origin = async (): Promise<Response> => {
    asked += 1;
    await gate;
    return asResponse(response, false);
  };
  const fetch = cachedFetch({ fetch: origin, shared, clock: manualClock({ now: NOW }) });
  const callers = [fetch('http://origin/', asInit(first)), fetch('http://origin/', asInit(second))];
  // Digests of credentials are made outside of this turn.
  await settled();
  answer();
  for (const caller of callers) await (await caller).text();
  await fetch.cache.idle();
  return asked;
}

function asResponse(response: ModelResponse, etag: boolean): Response {
  const valued: readonly [string, number | undefined][] = [
    ['max-age', response.maxAge],
    ['s-maxage', response.sMaxage],
    ['stale-while-revalidate', response.staleWhileRevalidate],
  ];
  const control = [
    ...response.directives,
    ...valued.flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`)),
  ];
  const date = (at: number): string => new Date(NOW + at * 1_000).toUTCString();
  const { expires } = response;
  const headers = new Headers(etag ? { etag: '"1"' } : {});
  if (control.length > 0) headers.set('cache-control', control.join(', '));
  if (expires !== undefined) headers.set('expires', expires === 'invalid' ? '0' : date(expires));
  if (response.date !== undefined) headers.set('date', date(response.date));
  if (response.age !== undefined) headers.set('age', String(response.age));
  if (response.vary !== undefined) headers.set('vary', response.vary);
  return new Response(response.status === 204 ? null : 'body', { status: response.status, headers });
}

function asInit(request: ModelRequest): RequestInit {
  const { maxAge, minFresh, maxStale } = request;
  const control = [
    ...(request.noStore ? ['no-store'] : []),
    ...(request.noCache ? ['no-cache'] : []),
    ...(maxAge === undefined ? [] : [`max-age=${maxAge}`]),
    ...(minFresh === undefined ? [] : [`min-fresh=${minFresh}`]),
    ...(maxStale === undefined ? [] : [maxStale === true ? 'max-stale' : `max-stale=${maxStale}`]),
  ];
  const headers = new Headers();
  if (control.length > 0) headers.set('cache-control', control.join(', '));
  if (request.authorization) headers.set('authorization', 'me');
  if (request.language !== undefined) headers.set('accept-language', request.language);
  return { headers, redirect: 'manual' };
}

function rarely(): fc.Arbitrary<boolean> {
  return fc.integer({ min: 0, max: 9 }).map((chance) => chance === 7);
}

/** One in four. */
function rare<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
}
