import { setTimeout as sleep } from 'node:timers/promises';

/** A limit for hanging tests. Nothing is measured by it. */
const PATIENCE = 45_000;

/** Resolves once `isSo` returns `true`. After a wait in vain, `what` names it in the error. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`Waited for ${PATIENCE} ms in vain until ${what}`);
    await sleep(5);
  }
}
