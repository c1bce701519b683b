import type { TestProject } from 'vitest/node';

import { launchChromium } from './chromium.ts';
import { originOf, servePage } from './page-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the one browser of all tests takes commands, and where the page is; or why there is none. */
    readonly browser: { readonly endpoint: string; readonly origin: string } | { readonly missing: string };
  }
}

/** Starts the browser and the page's server once for all test files; gives what ends both. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await servePage();
  const browser = await launchChromium().catch((error: unknown) => error as Error);
  if (browser instanceof Error) {
    server.close();
    // Told by the tests that need it, so that all others run.
    project.provide('browser', { missing: [browser.message, browser.cause].filter(Boolean).join('\n') });
    return async () => {};
  }
  project.provide('browser', { endpoint: browser.wsEndpoint(), origin: originOf(server) });
  return async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  };
}
