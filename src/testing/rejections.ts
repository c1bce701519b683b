import { pause } from '../base/clock.js';

/** The rejections that nobody handled since {@link watchRejections}. */
export interface RejectionWatch {
  /** Takes the reasons seen since the last call. Waits for the end of the turn, when platforms report them. */
  take(): Promise<readonly unknown[]>;
  /** Ends the watch. The platform handles later rejections itself. */
  stop(): void;
}

/** The events of Node, Deno and Bun, and those of browsers and Workers. */
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
 * Meanwhile Node does not end the process for one, so check the watch, as `checkInvariants` does. On a platform that
 * reports no rejections, none are seen.
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
