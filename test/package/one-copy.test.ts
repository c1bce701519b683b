import { AsyncLocalStorage } from 'node:async_hooks';
import { globSync, readFileSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import ts from 'typescript';
import { describe, expect, test } from 'vitest';

import type { Entry } from '../../src/entry.js';
import { root } from './command.js';

// Workers provide this module. Here it has only what the entry needs to be loaded.
const WORKERS = 'data:text/javascript,export class DurableObject {} export class RpcTarget {}';
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'cloudflare:workers' ? { url: WORKERS, shortCircuit: true } : next(specifier, context),
});

// Node itself loads these from `dist`, as it would for a program that depends on the package.
const load = createRequire(import.meta.url);
const core = load('soloflight') as typeof import('../../src/index.js');
const cloudflare = load('soloflight/cloudflare') as typeof import('../../src/cloudflare/index.js');
const codecs = load('soloflight/codecs') as typeof import('../../src/codecs/index.js');
const http = load('soloflight/http') as typeof import('../../src/http/index.js');
const sqlite = load('soloflight/sqlite') as typeof import('../../src/storage/sqlite.js');
const writes = load('soloflight/writes') as typeof import('../../src/writes/index.js');

type Work = () => Promise<unknown>;

/** What runs work under a key, once for all who ask. */
type Runner = (key: string, work: Work) => Promise<unknown>;

function singleflight(asyncContext: AsyncLocalStorage<unknown>): Runner {
  const flights = new core.Singleflight<unknown>({ asyncContext, maxDuration: '5s' });
  return (key, work) => flights.execute(key, work);
}

function tieredCache(asyncContext: AsyncLocalStorage<unknown>): Runner {
  const works = new Map<string, Work>();
  const cache = new core.TieredCache<unknown>({
    ttl: '1m',
    maxDuration: '5s',
    asyncContext,
    upstream: (key) => works.get(key)?.(),
  });
  return (key, work) => {
    works.set(key, works.get(key) ?? work);
    return cache.get(key);
  };
}

describe('a load that asks for its own key through another entry', () => {
  test.each([
    ['Singleflight', singleflight],
    ['TieredCache', tieredCache],
  ])('is refused as re-entrant: %s → cachedFetch → the same', async (_name, open) => {
    const asyncContext = new AsyncLocalStorage<unknown>();
    const run = open(asyncContext);
    const fetch = http.cachedFetch({
      cache: { asyncContext },
      fetch: async () => Response.json(await run('page', async () => 'inner')),
    });

    const error = await failureOf(run('page', async () => (await fetch('https://origin.example/')).json()));

    expect(error).toBeInstanceOf(core.ReentrantFlightError);
    expect(error).toMatchObject({ code: 'SOLOFLIGHT_REENTRANT_FLIGHT', key: 'page' });
  });
});

describe('a class that the core exports', () => {
  test('is the one of the errors of soloflight/http', async () => {
    const source = http.fetchUpstream({
      url: (key) => `https://origin.example/${key}`,
      fetch: async () => new Response('', { status: 500 }),
    });

    const failed = await failureOf(new core.TieredCache({ ttl: '1m', upstream: source }).get('a'));

    expect(failed).toBeInstanceOf(http.HttpStatusError);
    expect(failed).toBeInstanceOf(core.SoloflightError);
  });

  test('is the one of the errors of soloflight/writes', async () => {
    const behind = new writes.WriteBehind({ sink: () => {}, queue: writes.memoryQueue() });
    const batcher = new writes.Batcher({ handle: (items: readonly number[]) => items });
    await Promise.all([behind.close(), batcher.close()]);

    const [put, added] = [await failureOf(behind.put('a', 1)), await failureOf(batcher.add(1))];

    expect(put).toBeInstanceOf(writes.WritesClosedError);
    expect(added).toBeInstanceOf(writes.BatcherClosedError);
    expect([put, added]).toEqual([expect.any(core.SoloflightError), expect.any(core.SoloflightError)]);
  });

  test('is the one of the errors of soloflight/sqlite and soloflight/codecs', async () => {
    const database = new DatabaseSync(':memory:');
    const at = 1_700_000_000_000;
    const [freshUntil, staleUntil, errorUntil] = [Infinity, Infinity, Infinity];
    const entry: Entry = {
      ...{ value: 'v', startedAt: at, createdAt: at, freshUntil, staleUntil, errorUntil },
      ...{ loadMs: 0, tags: [], meta: undefined },
    };
    await sqlite.sqliteStorage({ database }).set('a', entry, Infinity);

    const read = async () => sqlite.sqliteStorage({ database, codec: codecs.structuredCloneCodec }).get('a');

    expect(await failureOf(read())).toBeInstanceOf(core.UndecodableError);
    database.close();
  });

  test('is the one of the caches of soloflight/http and soloflight/cloudflare', () => {
    const worker = cloudflare.workerCache({ ttl: '1m', upstream: () => 1 });

    expect(http.cachedFetch().cache).toBeInstanceOf(core.TieredCache);
    expect(worker).toBeInstanceOf(core.TieredCache);
  });
});

test('an error that two entries export is one class', () => {
  expect(cloudflare.WriteConflictError).toBe(writes.WriteConflictError);
  expect(new cloudflare.WriteConflictError('a', undefined)).toBeInstanceOf(core.SoloflightError);
});

test('every class of the source is in one file of the build, once', () => {
  const [source, built] = [classesIn('src/**/*.ts'), classesIn('dist/*.js')];

  expect(built.length).toBeGreaterThan(100);
  expect(built).toEqual(source);
});

/** The names of all classes in these files, in order. A bundler's number behind a name is left out. */
function classesIn(pattern: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isClassDeclaration(node) && node.name !== undefined) names.push(node.name.text);
    if (ts.isVariableDeclaration(node) && node.initializer !== undefined && ts.isClassExpression(node.initializer))
      names.push(node.name.getText());
    ts.forEachChild(node, visit);
  };
  for (const path of globSync(pattern, { cwd: root, exclude: ['**/*.d.ts'] }))
    visit(ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.Latest, true));
  return names.map((name) => name.replace(/\d+$/, '')).toSorted();
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return `It did not fail, and gave ${String(await promise)}`;
  } catch (error) {
    return error;
  }
}

test("`isolate: 'freeze'` freezes in the built package, all the way down", async () => {
  const cache = new core.TieredCache<{ readonly deep: { n: number } }>({
    ttl: '1m',
    isolate: 'freeze',
    upstream: async () => ({ deep: { n: 1 } }),
  });

  const value = await cache.get('k');

  expect([Object.isFrozen(value), Object.isFrozen(value.deep)]).toEqual([true, true]);
  await cache.close();
});
