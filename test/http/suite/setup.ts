import type { TestAPI, ExpectStatic, SuiteAPI } from 'vitest';

import { cachedFetch, type CachedFetch, type CachedFetchOptions } from '../../../src/http/index.js';
import { manualClock, type ManualClock } from '../../../src/testing/index.js';
import { scriptOrigin, type OriginStep, type ScriptedOrigin } from '../../support/scripted-origin.js';

/** What a run of the suite brings along: its test runner, and the URL of a running origin. */
export interface HttpSuite {
  readonly describe: SuiteAPI;
  readonly test: TestAPI;
  readonly expect: ExpectStatic;
  readonly origin: () => string;
}

/** The parts of one cache under test. Time moves when the test says so. */
export interface HttpParts {
  readonly fetch: CachedFetch;
  readonly clock: ManualClock;
  readonly origin: ScriptedOrigin;
}

/** A cached `fetch` before an origin that follows a script. A list of steps is the script of the path `/`. */
export async function setup(
  suite: HttpSuite,
  script: Readonly<Record<string, readonly OriginStep[]>> | readonly OriginStep[],
  options: CachedFetchOptions = {},
): Promise<HttpParts> {
  const clock = manualClock();
  const paths = Array.isArray(script) ? { '*': script } : (script as Readonly<Record<string, readonly OriginStep[]>>);
  const origin = await scriptOrigin(suite.origin(), paths);
  return { fetch: cachedFetch({ clock, ...options }), clock, origin };
}

/** `count` concurrent requests for the same, all on their way. */
export function crowd(count: number, ask: (index: number) => Promise<Response>): Promise<Response>[] {
  return Array.from({ length: count }, (_, index) => ask(index));
}

export function texts(responses: readonly Promise<Response>[]): Promise<string[]> {
  return Promise.all(responses.map(async (response) => (await response).text()));
}

/** A parameter of the last member of `Cache-Status`: its value, `true` for one without, `undefined` if it is not there. */
export function told(response: Response, parameter: string): string | true | undefined {
  const last = (response.headers.get('cache-status') ?? '').split(', ').at(-1)!;
  const part = last.split('; ').find((one) => one === parameter || one.startsWith(`${parameter}=`));
  if (part === undefined) return undefined;
  return part === parameter ? true : part.slice(parameter.length + 1);
}
