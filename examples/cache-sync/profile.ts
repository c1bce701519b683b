/* What a profile is, and how edits of it meet. Used by the page, by the Worker and by the main database alike. */

export const FIELDS = ['name', 'mail'] as const;

export type FieldName = (typeof FIELDS)[number];

/** A field and its last edit. */
export interface Field {
  readonly value: string;
  /** When it was edited, epoch milliseconds by the clock of who did. */
  readonly at: number;
  /** The browser that did. */
  readonly by: string;
  /** The last edit of each browser that was taken, by its own clock: a request may arrive twice, and late. */
  readonly taken?: Readonly<Record<string, number>>;
}

export type Profile = Readonly<Record<FieldName, Field>>;

/** A field that may have been edited here and not been delivered yet. */
export interface EditableField extends Field {
  /** The `at` of what the editor saw before; absent where nothing was edited. */
  readonly base?: number;
}

export type EditableProfile = Readonly<Record<FieldName, EditableField>>;

/** The edited fields alone: what is sent to the object of a profile. */
export type Change = Readonly<Partial<Record<FieldName, Required<EditableField>>>>;

/** Who wins where two people edited the same field without knowing of each other. */
export type ConflictPolicy = 'newest' | 'mine' | 'theirs';

/** Characters of a field, of an author, at most. */
const LONGEST = { value: 200, author: 64 } as const;

/** Clocks of browsers may be ahead by so much. */
const CLOCK_SKEW = 60_000;

/** Browsers whose last edit of a field is remembered. */
const MOST_AUTHORS = 8;

/** `profile` with new values, which are edits of what is there. */
export function edited(
  profile: EditableProfile,
  values: Readonly<Partial<Record<FieldName, string>>>,
  { at, by, seen = profile }: Pick<Field, 'at' | 'by'> & { readonly seen?: EditableProfile },
): EditableProfile {
  return mapFields((name) => {
    const { base: _, taken: __, ...before } = profile[name];
    const value = values[name];
    // What is not edited now is not sent again: if it still waits, `mergedEdits` keeps it.
    if (value === undefined || value === before.value) return before;
    // No edit is older than what it replaces.
    return { value, at: Math.max(at, before.at + 1), by, base: seen[name].at };
  });
}

/** Two pending edits as one: of each field the later edit, and what the first of the two was based on. */
export function mergedEdits(pending: EditableProfile, incoming: EditableProfile): EditableProfile {
  return mapFields((name) => {
    const [first, second] = [pending[name], incoming[name]];
    if (second.base === undefined) return first.base === undefined ? second : first;
    if (first.base === undefined) return second;
    return { ...(second.at >= first.at ? second : first), base: first.base };
  });
}

export function changeOf(profile: EditableProfile): Change {
  return Object.fromEntries(FIELDS.map((name) => [name, profile[name]]).filter(([, field]) => isEdit(field as Field)));
}

/**
 * The change in `data`, which comes from a browser and may be anything.
 *
 * @throws TypeError that says what is wrong.
 */
export function parseChange(data: unknown): Change {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new TypeError('A change is an object');
  const names = Object.keys(data);
  if (names.length === 0) throw new TypeError('A change has at least one field');
  for (const name of names) {
    if (!isFieldName(name)) throw new TypeError(`There is no field '${name.slice(0, 20)}'`);
    checkEdit(name, (data as Record<string, unknown>)[name]);
  }
  return data;
}

/** What `change` makes of `current`, or `'conflict'` where somebody else has edited a field meanwhile. */
export function applied(current: Profile, change: Change, now: number): Profile | 'conflict' {
  const outdated = FIELDS.some((name) => isOutdated(change[name], current[name]));
  if (outdated) return 'conflict';
  return mapFields((name) => {
    const [edit, before] = [change[name], current[name]];
    if (edit === undefined || isTaken(edit, before)) return before;
    // A clock that runs ahead must not win for ever, and no edit is older than what it replaces.
    const at = Math.max(Math.min(edit.at, now + CLOCK_SKEW), before.at + 1);
    const others = Object.entries(before.taken ?? {}).filter(([by]) => by !== edit.by);
    const taken = Object.fromEntries([...others.slice(1 - MOST_AUTHORS), [edit.by, edit.at]]);
    return { value: edit.value, at, by: edit.by, taken };
  });
}

/** What goes on to be written where `local` met `remote`; `'remote'` if nothing of it does. */
export function resolved(policy: ConflictPolicy, local: EditableProfile, remote: Profile): EditableProfile | 'remote' {
  const result = mapFields((name): EditableField => {
    const [mine, theirs] = [local[name], remote[name]];
    if (mine.base === undefined) return theirs;
    if (!isOutdated(mine, theirs)) return mine;
    if (policy === 'theirs' || (policy === 'newest' && theirs.at >= mine.at)) return theirs;
    return { ...mine, at: Math.max(mine.at, theirs.at + 1), base: theirs.at };
  });
  return FIELDS.some((name) => isEdit(result[name])) ? result : 'remote';
}

/** Of each field the later edit. */
export function newest(one: Profile, other: Profile): Profile {
  return mapFields((name) => (other[name].at > one[name].at ? other[name] : one[name]));
}

/** Whether nothing in `stored` is newer than in `incoming`. */
export function covers(incoming: Profile, stored: Profile): boolean {
  return FIELDS.every((name) => stored[name].at <= incoming[name].at);
}

export function isProfile(value: unknown): value is Profile {
  return FIELDS.every((name) => {
    const { value: text, at, by } = Object(Object(value)[name]) as Partial<Record<keyof Field, unknown>>;
    return typeof text === 'string' && Number.isFinite(at) && typeof by === 'string';
  });
}

function isOutdated(edit: EditableField | undefined, current: Field): boolean {
  if (edit?.base === undefined || isTaken(edit, current)) return false;
  return current.by !== edit.by && current.at !== edit.base;
}

function isTaken({ by, at }: Field, { taken = {} }: Field): boolean {
  return at <= (Object.hasOwn(taken, by) ? taken[by]! : -Infinity);
}

function isEdit(field: EditableField): boolean {
  return field.base !== undefined;
}

function isFieldName(name: string): name is FieldName {
  return (FIELDS as readonly string[]).includes(name);
}

function checkEdit(name: FieldName, edit: unknown): void {
  const { value, at, by, base } = Object(edit) as Partial<Record<keyof EditableField, unknown>>;
  if (typeof value !== 'string' || value.trim() === '' || value.length > LONGEST.value)
    throw new TypeError(`'${name}' takes 1 to ${LONGEST.value} characters`);
  if (name === 'mail' && !/^[^\s@]+@[^\s@]+$/.test(value)) throw new TypeError("'mail' is an e-mail address");
  if (!isInstant(at) || !isInstant(base)) throw new TypeError('Instants are epoch milliseconds');
  if (typeof by !== 'string' || by === '' || by.length > LONGEST.author) throw new TypeError('An edit has an author');
}

function isInstant(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function mapFields<F>(field: (name: FieldName) => F): Readonly<Record<FieldName, F>> {
  return { name: field('name'), mail: field('mail') };
}
