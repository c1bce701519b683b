import { describe, expect, test, vi } from 'vitest';

import type { ConnectivityOptions } from '../../src/browser/connectivity-options.js';
import { connectivity } from '../../src/browser/connectivity.js';
import { manualClock } from '../../src/testing/index.js';
import {
  asked,
  failRequest,
  networkError,
  opened,
  probe,
  settle,
  setup,
  type Asked,
} from '../support/setup-connectivity.js';

describe('what the browser says', () => {
  test.each([
    [true, 'online'],
    [false, 'offline'],
  ])('is the state at first, and no timer runs without a probe (%s)', (onLine, state) => {
    const { connection, clock } = setup({ onLine });

    expect([connection.state, clock.pending]).toEqual([state, 0]);
  });

  test('may be wrong: without a network, the probe goes on after growing pauses', async () => {
    const { clock, told } = setup({ onLine: false, probe });

    for (const [index, pause] of [1_000, 2_000, 4_000].entries()) {
      await clock.advanceAsync(pause - 1);
      expect(asked.length).toBe(index);
      await clock.advanceAsync(1);
      asked[index]!.answer(index === 2);
      await settle();
    }

    expect([told, clock.pending]).toEqual([['online'], 0]);
  });

  test('may be wrong: without a probe, a request that succeeds decides', async () => {
    const { connection, told, browser } = setup({ onLine: false });

    await connection.track(() => 'from the server');
    browser.go('offline');

    expect(told).toEqual(['online', 'offline']);
  });

  test('is the state after its events where nothing can be asked', () => {
    const { connection, clock, told, browser } = setup();

    clock.advance(500);
    browser.go('offline');
    browser.go('offline');
    expect(connection.since).toBe(clock.now());
    browser.go('online');

    expect(told).toEqual(['offline', 'online']);
  });

  test('is that there is a network: whether there is a server, the probe says', async () => {
    const { connection, told, browser } = setup({ probe, onLine: false });

    browser.go('online');
    await settle();
    expect([connection.state, asked.length]).toEqual(['offline', 1]);
    asked[0]!.answer(undefined);
    await settle();

    expect(told).toEqual(['online']);
  });

  test('ends a probe under way, whose late answer is not heard', async () => {
    const { connection, clock, told, browser } = setup({ probe, onLine: false });
    browser.go('online');
    await settle();

    browser.go('offline');
    expect([asked[0]!.signal.aborted, clock.pending]).toEqual([true, 1]);
    asked[0]!.answer(true);
    await settle();

    expect([connection.state, told]).toEqual(['offline', []]);
  });

  test('may be wrong: a probe that is asked for by hand and reaches the server wins', async () => {
    const parts = setup({ probe, onLine: false });
    const { connection, told } = parts;

    const state = connection.check();
    await settle();
    asked[0]!.answer(true);
    expect(await state).toBe('online');
    await failRequest(parts);

    expect([told, asked.length]).toEqual([['online'], 2]);
  });

  test('stands when a probe by hand fails, which is asked again later', async () => {
    const { connection, clock } = setup({ probe, onLine: false });

    const state = connection.check();
    await settle();
    asked[0]!.fail(undefined);

    expect([await state, clock.pending]).toEqual(['offline', 1]);
  });
});

describe('a request that fails, with a probe', () => {
  test('changes nothing if the probe reaches the server', async () => {
    const parts = setup({ probe });

    await failRequest(parts);
    expect([parts.connection.state, asked.length]).toEqual(['online', 1]);
    asked[0]!.answer(true);
    await settle();

    expect([parts.told, parts.clock.pending]).toEqual([[], 0]);
  });

  test.each([
    ['answers false', (one: Asked) => one.answer(false)],
    ['rejects', (one: Asked) => one.fail(undefined)],
    ['takes too long', () => opened[0]!.clock.advance(5_000)],
  ])('makes the server unreachable if the probe %s, and asks again after growing pauses', async (_how, failProbe) => {
    const parts = setup({ probe });
    const { clock, told } = parts;

    await failRequest(parts);
    failProbe(asked[0]!);
    await settle();
    expect(told).toEqual(['unreachable']);

    for (const [index, pause] of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].entries()) {
      clock.advance(pause - 1);
      await settle();
      expect(asked.length).toBe(index + 1);
      clock.advance(1);
      await settle();
      expect(asked.length).toBe(index + 2);
      failProbe(asked.at(-1)!);
      await settle();
    }
    clock.advance(60_000);
    await settle();
    asked.at(-1)!.answer(true);
    await settle();

    expect([told, clock.pending]).toEqual([['unreachable', 'online'], 0]);
  });

  test('among a hundred at the same time makes one probe', async () => {
    const parts = setup({ probe });

    await Promise.all(Array.from({ length: 100 }, () => failRequest(parts)));
    asked[0]!.answer(false);
    await settle();
    await Promise.all(Array.from({ length: 100 }, () => failRequest(parts)));

    expect([asked.length, parts.clock.pending]).toEqual([1, 1]);
  });

  test('followed by one that succeeds asks at once, and the pauses are short again', async () => {
    const parts = setup({ probe });
    const { connection, clock, told } = parts;
    await failRequest(parts);
    asked[0]!.answer(false);
    await settle();

    await connection.track(() => 'answer');
    await settle();
    expect(asked.length).toBe(2);
    asked[1]!.answer(true);
    await settle();
    await failRequest(parts);
    asked[2]!.answer(false);
    await settle();
    clock.advance(1_000);
    await settle();

    expect([told, asked.length]).toEqual([['unreachable', 'online', 'unreachable'], 4]);
  });

  test('is nothing new while there is no network; one that succeeds is, if the probe agrees', async () => {
    const parts = setup({ probe, onLine: false });

    await failRequest(parts);
    expect(asked.length).toBe(0);
    await parts.connection.track(() => 'perhaps from a service worker');
    await settle();
    expect(parts.told).toEqual([]);
    asked[0]!.answer(true);
    await settle();

    expect(parts.told).toEqual(['online']);
  });
});

describe.each(['visibilitychange', 'focus', 'pageshow'])('a page that is looked at again (%s)', (event) => {
  test('probes at once while the server can not be reached, and else not', async () => {
    const parts = setup({ probe });
    parts.browser.dispatchEvent(new Event(event));
    await settle();
    expect(asked.length).toBe(0);
    await failRequest(parts);
    asked[0]!.answer(false);
    await settle();

    parts.browser.dispatchEvent(new Event(event));
    parts.browser.dispatchEvent(new Event('focus'));
    await settle();
    expect(asked.length).toBe(2);
    asked[1]!.answer(true);
    await settle();

    expect(parts.told).toEqual(['unreachable', 'online']);
  });

  test('lets the next request find out, without a probe', async () => {
    const parts = setup();
    await failRequest(parts);

    parts.browser.dispatchEvent(new Event(event));

    expect(parts.told).toEqual(['unreachable', 'online']);
  });

  test('does nothing as long as it is hidden', async () => {
    vi.stubGlobal('document', { visibilityState: 'hidden' });
    const parts = setup({ probe, onLine: false });

    parts.browser.dispatchEvent(new Event(event));
    await settle();

    expect(asked.length).toBe(0);
  });
});

describe('a request that fails, without a probe', () => {
  test('makes the server unreachable for a pause, and longer each time the next one fails', async () => {
    const parts = setup({ backoff: { initial: 100, max: 300 } });
    const { clock, told } = parts;

    for (const pause of [100, 200, 300, 300]) {
      await failRequest(parts);
      clock.advance(pause - 1);
      expect(told.at(-1)).toBe('unreachable');
      clock.advance(1);
      expect(told.at(-1)).toBe('online');
    }
    await parts.connection.track(() => 'answer');
    await failRequest(parts);
    clock.advance(100);

    expect(parts.connection.state).toBe('online');
  });

  test('is forgotten as soon as one succeeds', async () => {
    const parts = setup();
    await failRequest(parts);

    await parts.connection.track(() => 'answer');

    expect([parts.connection.state, parts.clock.pending]).toEqual(['online', 0]);
  });

  test('is no failure of the network if it was aborted, or failed for a reason of its own', async () => {
    const { connection, told } = setup();
    const reasons = [new DOMException('gone', 'AbortError'), new Error('400'), undefined, null, 'no'];

    for (const reason of reasons) await connection.track(() => Promise.reject(reason)).catch(() => {});
    await connection.track(() => Promise.reject(new DOMException('slow', 'TimeoutError'))).catch(() => {});

    expect(told).toEqual(['unreachable']);
  });
});

describe('a request that fails, with an isFailure that fails too', () => {
  test('rejects with its own failure, changes nothing, and has the other one reported', async () => {
    const reported: unknown[] = [];
    vi.stubGlobal('reportError', (error: unknown) => reported.push(error));
    const mistake = new Error('no code');
    const { connection, told } = setup({
      isFailure: () => {
        throw mistake;
      },
    });
    const failure = new Error('404');

    await expect(connection.track(() => Promise.reject(failure))).rejects.toBe(failure);

    expect([reported, told]).toEqual([[mistake], []]);
  });
});

describe('fetch of a signal', () => {
  test('gives responses whatever their status, and notices that there are none', async () => {
    const { connection, told } = setup();
    const answers = [() => Promise.resolve(new Response('', { status: 500 })), networkError];
    vi.stubGlobal('fetch', () => answers.shift()!());
    const { fetch } = connection;

    const response = await fetch('http://host/');
    expect([response.status, told]).toEqual([500, []]);
    await expect(fetch('http://host/')).rejects.toThrow('Failed to fetch');

    expect(told).toEqual(['unreachable']);
  });

  test('is how a URL is probed: answers below 500 count, from no cache', async () => {
    const statuses = [503, 404];
    const calls: unknown[] = [];
    vi.stubGlobal('fetch', (...call: unknown[]) => {
      calls.push(call);
      return Promise.resolve(new Response(null, { status: statuses.shift()! }));
    });
    const { connection } = setup({ probe: '/health' });

    expect(await connection.check()).toBe('unreachable');
    expect(await connection.check()).toBe('online');
    expect(calls[0]).toEqual(['/health', expect.objectContaining({ method: 'HEAD', cache: 'no-store' })]);
  });
});

describe('whenOnline', () => {
  test('resolves at once, or with the change', async () => {
    const { connection, browser } = setup();
    await connection.whenOnline();
    browser.go('offline');
    const waiting = connection.whenOnline();
    browser.go('online');

    await expect(waiting).resolves.toBeUndefined();
  });

  test('ends with its signal, and with the signal of connectivity, and need not be awaited', async () => {
    const { connection } = setup({ onLine: false });
    const controller = new AbortController();
    const [aborted, closed] = [connection.whenOnline({ signal: controller.signal }), connection.whenOnline()];

    controller.abort(undefined);
    await expect(aborted).rejects.toThrow('aborted');
    connection.close();

    await expect(closed).rejects.toMatchObject({ code: 'SOLOFLIGHT_CONNECTIVITY_CLOSED' });
    await expect(connection.whenOnline()).rejects.toMatchObject({ code: 'SOLOFLIGHT_CONNECTIVITY_CLOSED' });
    await expect(connection.whenOnline({ signal: controller.signal })).rejects.toThrow('aborted');
  });
});

describe('listeners', () => {
  test('that throw are reported, and keep the news from nobody', () => {
    const { connection, told, browser } = setup();
    const reported: unknown[] = [];
    vi.stubGlobal('reportError', (error: unknown) => reported.push(error));
    connection.on(() => {
      throw undefined;
    });
    const last = vi.fn<(state: string) => void>();
    connection.on(last);

    browser.go('offline');

    expect([told, reported, last.mock.calls]).toEqual([['offline'], [undefined], [['offline']]]);
  });

  test('registered twice are called twice, and leave one at a time', () => {
    const { connection, browser } = setup();
    const listener = vi.fn<(state: string) => void>();
    const off = connection.on(listener);
    connection.on(listener);

    browser.go('offline');
    off();
    browser.go('online');

    expect(listener.mock.calls).toEqual([['offline'], ['offline'], ['online']]);
  });

  test('that close the signal end it for all', () => {
    const { connection, browser } = setup();
    connection.on(() => connection.close());
    const last = vi.fn<(state: string) => void>();
    connection.on(last);

    browser.go('offline');

    expect(last).not.toHaveBeenCalled();
  });
});

describe('a closed signal', () => {
  test('does nothing any more, whatever comes', async () => {
    const parts = setup({ probe });
    await failRequest(parts);
    parts.connection.close();
    parts.connection.close();

    asked[0]!.answer(false);
    parts.browser.dispatchEvent(new Event('offline'));
    await failRequest(parts);
    await parts.connection.check();

    expect([parts.told, asked.length, parts.clock.pending]).toEqual([[], 1, 0]);
  });
});

describe('where there is no browser', () => {
  test('the state is online until something fails', async () => {
    vi.stubGlobal('navigator', undefined);
    const clock = manualClock();
    const connection = connectivity({ clock });

    expect(connection.state).toBe('online');
    await connection.track(networkError).catch(() => {});
    expect(connection.state).toBe('unreachable');
    connection.close();
    expect(clock.pending).toBe(0);
  });
});

describe('misuse', () => {
  test.each([
    [{ probe: 5 }, 'Expected `probe` to be a URL or a function, got `5` (number)'],
    [{ probeTimeout: 0 }, 'Expected `probeTimeout` to be a duration > 0'],
    [{ backoff: { initial: '2s', max: '1s' } }, 'Expected `backoff.max` to be at least `backoff.initial`'],
    [{ backoff: { least: 1 } }, 'without unknown names (known: initial, max)'],
    [{ isFailure: true }, 'Expected `isFailure` to be a function'],
    [{ probes: '/' }, 'without unknown names'],
  ])('is told at once: %j', (options, message) => {
    expect(() => connectivity(options as ConnectivityOptions)).toThrow(message);
  });

  test('of a method is told as well', async () => {
    const { connection } = setup();
    expect(() => connection.on('online' as never)).toThrow('Expected `listener` to be a function');
    await expect(connection.track('/' as never)).rejects.toThrow('Expected `request` to be a function');
    expect(() => connection.whenOnline({ signal: 1 as never })).toThrow('Expected `signal` to be an AbortSignal');
  });
});
