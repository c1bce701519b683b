import { isError } from './realm.js';

/** Where there is a process that shows warnings. */
interface Warner {
  readonly emitWarning?: (warning: string, options: { readonly type: string; readonly code: string }) => void;
}

/** What a failure is told by: an event of a cache or a queue. */
interface Failure {
  readonly type: string;
  readonly tier?: string;
  readonly source?: string;
  readonly error?: unknown;
}

/**
 * Tells of a failure that nobody listens for by a warning of the process, where there is one. A key may be private: an error that
 * has one is told by its code.
 */
export function warnOf({ type, tier, source, error }: Failure): void {
  const who = tier === undefined ? `\`${source}\`` : `storage '${tier}'`;
  warn(
    `${who} failed (${reasonOf(error)}), and the cache goes on without it. Listen for \`${type}\` events to hear of the next ones: this is said once`,
    'SOLOFLIGHT_UNHEARD',
  );
}

/** Warns by the process, where there is one. */
export function warn(text: string, code: string): void {
  const { process } = globalThis as { readonly process?: Warner };
  process?.emitWarning?.(text, { type: 'SoloflightWarning', code });
}

function reasonOf(error: unknown): string {
  if (!isError(error)) return typeof error;
  const { key, code } = error as Error & { readonly key?: unknown; readonly code?: unknown };
  return key === undefined ? error.message.slice(0, 200) : String(code);
}
