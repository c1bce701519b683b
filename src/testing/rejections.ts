import { pause } from '../base/clock.js';

/** The rejections that nobody handled, noted from {@link watchRejections} on. */
export interface RejectionWatch {
  /** The reasons seen since the last call. Waits for the end of the turn, when platforms tell of them. */
  take(): Promise<readonly unknown[]>;
  /** Ends the watch. What happens later is the platform's again. */
  stop(): void;
}

/** What Node, Deno and Bun, and what browsers and Workers have for it. */
interface Platform {
  readonly process?: {
    on?(event: 'unhandledRejection', listener: (reason: unknown) => void): unknown;
    off?(event: 'unhandledRejection', listener: (reason: unknown) => void): unknown;
  };
  addEventListener?(type: 'unhandledrejection', listener: (event: { readonly reason: unknown }) => void): void;
  removeEventListener?(type: 'unhandledrejection', listener: (event: { readonly reason: unknown }) => void): void;
}

/**
 * Notes every rejection of this process or page that nobody handles, until `stop`.
 *
 * Meanwhile Node does not end the process for one, so look at what was seen: `checkInvariants` does. Where a platform
 * tells of no rejections, none are seen.
 */
export function watchRejections(): RejectionWatch {
  const platform = globalThis as Platform;
  let seen: unknown[] = [];
  const note = (reason: unknown): void => void seen.push(reason);
  const noteEvent = (event: { readonly reason: unknown }): void => note(event.reason);
  const { process } = platform;
  if (process?.on !== undefined) process.on('unhandledRejection', note);
  else platform.addEventListener?.('unhandledrejection', noteEvent);
  return {
    async take() {
      await pause(0);
      const taken = seen;
      seen = [];
      return taken;
    },
    stop() {
      process?.off?.('unhandledRejection', note);
      platform.removeEventListener?.('unhandledrejection', noteEvent);
    },
  };
}
