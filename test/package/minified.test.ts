import { build } from 'esbuild';
import { expect, test } from 'vitest';

import { root } from './command.ts';

/** Every class of errors of the entries that run anywhere, by the name under which it is exported. */
const SOURCE = `
  import * as core from 'soloflight';
  import * as http from 'soloflight/http';
  import * as writes from 'soloflight/writes';
  const made = {
    FlightTimeoutError: new core.FlightTimeoutError('k', 1, 2),
    TooManySubscribersError: new core.TooManySubscribersError('k', 1),
    TooManyFlightsError: new core.TooManyFlightsError('k', 1),
    ReentrantFlightError: new core.ReentrantFlightError('k'),
    CacheClosedError: new core.CacheClosedError('k'),
    CallerTimeoutError: new core.CallerTimeoutError('k', 1),
    SomeKeysFailedError: new core.SomeKeysFailedError(new Map([['k', new Error('down')]])),
    TierTimeoutError: new core.TierTimeoutError('tier', 'get', 1, 'k'),
    UndecodableError: new core.UndecodableError('k', 'why'),
    SoloflightError: new core.SoloflightError('SOLOFLIGHT_ANY', 'message'),
    BatcherClosedError: new writes.BatcherClosedError(),
    WritesClosedError: new writes.WritesClosedError('k'),
  };
  export const names = Object.entries(made).map(([name, error]) => [name, error.name]);
  export const cache = new core.TieredCache({ ttl: 0, errorTtl: '1h', maxDuration: 5, upstream: () => new Promise(() => {}) });
`;

test('names of errors, and what the code makes of them, survive minification', async () => {
  const { outputFiles } = await build({
    stdin: { contents: SOURCE, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    write: false,
  });
  const text = outputFiles[0]!.text;
  expect(text).not.toContain('class FlightTimeoutError');

  const { names, cache } = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
    names: [string, string][];
    cache: { get: (key: string) => Promise<unknown>; getStats: () => { loads: number } };
  };

  for (const [exported, name] of names) expect(name).toBe(exported);
  // A timeout is never remembered, whatever `errorTtl` says.
  await expect(cache.get('k')).rejects.toMatchObject({ name: 'FlightTimeoutError' });
  await expect(cache.get('k')).rejects.toMatchObject({ name: 'FlightTimeoutError' });
  expect(cache.getStats().loads).toBe(2);
});
