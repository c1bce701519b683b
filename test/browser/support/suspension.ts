import type { CDPSession, Page } from 'playwright-core';

/**
 * Stops `tab` in the middle of what it does, as SIGSTOP or a phone would: no code of it runs, no message reaches it, and its
 * locks stay. Resolves to what lets it go on.
 */
export async function suspend(tab: Page): Promise<() => Promise<void>> {
  const session: CDPSession = await tab.context().newCDPSession(tab);
  await session.send('Debugger.enable');
  const paused = new Promise((resolve) => session.once('Debugger.paused', resolve));
  session.send('Runtime.evaluate', { expression: 'debugger' }).catch(() => {});
  await paused;
  return async () => {
    await session.send('Debugger.resume');
    await session.send('Debugger.disable');
    await session.detach();
  };
}
