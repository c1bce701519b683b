import type { StoredAnswer } from './stored-response.js';

/** Why a load brought nothing that can replace the stored response. */
export type FailureKind =
  /** No response at all. `cause` is the error of `fetch`. */
  | 'network'
  /** The origin answered with an error that a stored response may stand in for. */
  | 'status'
  /** The body broke off. `cause` is the error that its reader would see. */
  | 'broken'
  /** The answer belongs to its own caller alone. */
  | 'detour';

/** The rejection that tells the subscribers of a load about its failure. Never leaves `soloflight/http`. */
export class LoadFailure extends Error {
  readonly kind: FailureKind;
  /** Epoch milliseconds. */
  readonly at: number;
  /** The stored response that was to be replaced. */
  readonly known: StoredAnswer | undefined;
  /** The part that had arrived of a response whose body broke off. */
  readonly partial: StoredAnswer | undefined;

  constructor(
    kind: FailureKind,
    at: number,
    more: { readonly cause?: unknown; readonly known?: StoredAnswer | undefined; readonly partial?: StoredAnswer } = {},
  ) {
    super(`The origin's answer can't be used (${kind})`, { cause: more.cause });
    this.name = 'LoadFailure';
    this.kind = kind;
    this.at = at;
    this.known = more.known;
    this.partial = more.partial;
  }
}
