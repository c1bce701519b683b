/** The longest lifetime, in seconds. RFC 9111 §1.2.2 lets all longer ones count as this. */
const LONGEST = 2_147_483_648;

/** A token, then maybe `=` and a token or a quoted string. Sticky: nothing between two matches is skipped unseen. */
const DIRECTIVE = /[\t ]*([!#$%&'*+\-.^_`|~\w]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?[\t ]*(?:,|$)/y;
const DIGITS = /^\d+$/;

/**
 * The directives of one `Cache-Control` field, of a request or a response. Names are lower case.
 *
 * Parsing never fails: anything but a directive is skipped up to the next comma. Unknown directives are kept and harmless.
 *
 * @see RFC 9111 §5.2
 */
export class Directives {
  readonly #values = new Map<string, (string | undefined)[]>();

  constructor(field: string | null) {
    if (field === null) return;
    for (const [name, value] of directivesIn(field)) {
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [value]);
      else values.push(value);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Whether there is no directive at all. */
  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** Whether the directive occurs at least once without field names, and so applies to the whole message. */
  hasWhole(name: string): boolean {
    return this.#values.get(name)?.some((value) => value === undefined || value.trim() === '') ?? false;
  }

  /** The lower-case field names that the directive is limited to, such as in `private="set-cookie"`. */
  fieldNames(name: string): string[] {
    const values = this.#values.get(name) ?? [];
    return values.flatMap((value) => (value ?? '').toLowerCase().split(/[\t ,]+/)).filter((field) => field !== '');
  }

  /**
   * The value in seconds: `undefined` if the directive is absent, `NaN` if its value makes no sense, or if it has several
   * that differ.
   *
   * @see RFC 9111 §4.2.1: invalid freshness information should count as stale.
   */
  seconds(name: string): number | undefined {
    const values = this.#values.get(name);
    if (values === undefined) return undefined;
    const [first, ...others] = values.map(deltaSeconds);
    return others.every((other) => other === first) ? first : NaN;
  }
}

function* directivesIn(field: string): Generator<[string, string | undefined]> {
  let at = 0;
  while (at < field.length) {
    DIRECTIVE.lastIndex = at;
    const match = DIRECTIVE.exec(field);
    if (match === null) {
      at = skipMember(field, at);
      continue;
    }
    at = DIRECTIVE.lastIndex;
    const [, name = '', quoted, token] = match;
    yield [name.toLowerCase(), quoted === undefined ? token : quoted.replaceAll(/\\(.)/g, '$1')];
  }
}

/** The index after the next comma outside of quotes. An unclosed quote hides the rest of the field. */
function skipMember(field: string, from: number): number {
  let quoted = false;
  for (let at = from; at < field.length; at += 1) {
    const char = field[at];
    if (char === '\\' && quoted) at += 1;
    else if (char === '"') quoted = !quoted;
    else if (char === ',' && !quoted) return at + 1;
  }
  return field.length;
}

/** Non-negative whole seconds, or `NaN`. */
export function deltaSeconds(text: string | undefined): number {
  if (text === undefined || !DIGITS.test(text)) return NaN;
  return Math.min(Number(text), LONGEST);
}
