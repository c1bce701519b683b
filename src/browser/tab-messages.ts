import { SoloflightError } from '../errors.js';

const METHODS = ['put', 'delete', 'read', 'flush', 'status'] as const;

/** A call of a method, as it goes from tab to tab. */
export type Call = readonly [method: (typeof METHODS)[number], ...given: unknown[]];

/** What tabs tell each other. */
export type Message =
  /** From the tab that leads from now on: whoever waits for an answer asks again. */
  | { readonly kind: 'leading' }
  | { readonly kind: 'ask'; readonly id: string; readonly call: Call }
  | { readonly kind: 'answer'; readonly id: string; readonly result?: unknown; readonly failure?: Failure };

/** An error without what can't be cloned, and with the code that cloning drops. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

/** Whether `data` is a message of ours. What else comes is somebody else's. */
export function isMessage(data: unknown): data is Message {
  const { kind, id, call } = Object(data) as {
    readonly kind?: unknown;
    readonly id?: unknown;
    readonly call?: unknown;
  };
  if (kind === 'leading') return true;
  if (typeof id !== 'string') return false;
  return kind === 'answer' || (kind === 'ask' && Array.isArray(call) && METHODS.includes(call[0]));
}

export function toFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), code: undefined };
  const { code } = error as { readonly code?: unknown };
  return { name: error.name, message: error.message, code: typeof code === 'string' ? code : undefined };
}

/** The result in an answer, or the failure as a rejection. */
export async function fromAnswer({ result, failure }: Extract<Message, { kind: 'answer' }>): Promise<unknown> {
  if (failure === undefined) return result;
  const { name, message, code } = failure;
  if (code?.startsWith('SOLOFLIGHT_') === true) throw new SoloflightError(code as `SOLOFLIGHT_${string}`, message);
  throw name === 'TypeError' ? new TypeError(message) : Object.assign(new Error(message), { name });
}
