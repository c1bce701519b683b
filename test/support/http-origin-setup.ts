import type { TestProject } from 'vitest/node';

import { startOrigin } from './http-origin.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly httpOrigin: string;
  }
}

/** Starts an origin in Node for tests that run elsewhere. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const origin = await startOrigin();
  project.provide('httpOrigin', origin.url);
  return () => origin.close();
}
