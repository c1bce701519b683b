import type { LogFields } from './logger.js';

/** Of an error, its name and code: its message may quote a value. */
export function nameOf(error: unknown): LogFields {
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  return {
    error: typeof name === 'string' ? name : typeof error,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
  };
}
