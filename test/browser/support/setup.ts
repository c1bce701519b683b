import type { TestProject } from 'vitest/node';

import { launchChromium } from './chromium.ts';
import { originOf, servePage } from './page-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the one browser of all tests takes commands, and where the page is. */
    readonly browser: { readonly endpoint: string; readonly origin: string };
  }
}

/** Starts the browser and the page's server once for all test files; gives what ends both. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await servePage();
  try {
    const browser = await launchChromium();
    project.provide('browser', { endpoint: browser.wsEndpoint(), origin: originOf(server) });
    return async () => {
      await browser.close();
      server.closeAllConnections();
      server.close();
    };
  } catch (error) {
    server.close();
    throw error;
  }
}
