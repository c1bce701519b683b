import { setTimeout as sleep } from 'node:timers/promises';

/** A limit for what hangs. Nothing is measured by it. */
const PATIENCE = 45_000;

/** Resolves once `isSo` gives `true`. `what` says in the error what was waited for in vain. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`Waited for ${PATIENCE} ms in vain until ${what}`);
    await sleep(5);
  }
}
