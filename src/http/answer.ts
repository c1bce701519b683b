import type { Loaded } from '../contracts.js';
import { loaded } from '../read/loaded.js';
import type { Ask } from './ask.js';
import { parseHttpDate } from './http-date.js';
import { initialAge } from './rules.js';
import type { HttpSettings } from './settings.js';
import { storability, type Storability } from './storable.js';
import { mergedFields, storableFields } from './stored-fields.js';
import { ageOf, type Field, type StoredAnswer, type StoredResponse } from './stored-response.js';
import { selecting, variedBy } from './vary.js';

/** The parts of a response that a stored one is made from. */
export interface Received {
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly requestedAt: number;
  readonly receivedAt: number;
}

const NOT_REUSABLE: Permission = {
  store: true,
  hidden: [],
  keep: 0,
  rules: { lifetime: 0, staleWhileRevalidate: 0, staleIfError: 0, validate: true, stale: 'never', immutable: false },
};

type Permission = Extract<Storability, { readonly store: true }>;

/** Makes the plain data that is stored. `known` is the answer that it replaces. */
export function answerOf(
  ask: Ask,
  received: Received,
  body: Uint8Array,
  { rules, hidden }: Permission,
  known: StoredAnswer | undefined,
  settings: HttpSettings,
): StoredAnswer {
  const { headers, receivedAt } = received;
  const vary = selecting(variedBy(headers, settings.shared), ask.selectors);
  const isSameVary =
    known !== undefined && known.vary.map(([name]) => name).join() === vary.map(([name]) => name).join();
  return {
    kind: 'answer.2',
    shared: settings.shared,
    method: known?.method ?? (ask.method === 'HEAD' ? 'HEAD' : 'GET'),
    url: received.url,
    status: received.status,
    statusText: received.statusText,
    headers: dated(storableFields(headers, hidden), receivedAt),
    body,
    initialAge: initialAge(received),
    receivedAt,
    rules,
    vary,
    generation: isSameVary ? known.generation : newGeneration(settings),
  };
}

/** `known` updated by the origin's confirmation, and whether the result may be stored (RFC 9111 §4.3.4). */
export function renewed(
  ask: Ask,
  known: StoredAnswer,
  received: Omit<Received, 'status' | 'statusText' | 'url'>,
  settings: HttpSettings,
): { readonly answer: StoredAnswer; readonly storable: Storability } {
  const newer = dated([...received.headers], received.receivedAt);
  const headers = new Headers(mergedFields(known.headers, newer) as [string, string][]);
  const { url, status, statusText } = known;
  const merged = { ...received, headers, url, status, statusText };
  const storable = storability(ask, merged, settings);
  return {
    answer: answerOf(ask, merged, known.body, storable.store ? storable : NOT_REUSABLE, known, settings),
    storable,
  };
}

/** `answer` for the tiers: fresh as long as HTTP says, and kept `keep` milliseconds longer for its uses when stale. */
export function loadedAnswer(
  answer: StoredAnswer,
  keep: number,
  { clock, tagsOf }: HttpSettings,
): Loaded<StoredResponse> {
  const { rules } = answer;
  const ttl = rules.validate ? 0 : Math.max(0, Math.floor(rules.lifetime - ageOf(answer, clock.now())));
  const tags = tagsOf(answer.url, new Headers(answer.headers as [string, string][]));
  return loaded<StoredResponse>(answer, { ttl, staleWhileRevalidate: keep, staleIfError: keep, tags });
}

/** A cache that keeps a response without `Date` adds one (RFC 9110 §6.6.1). */
function dated(fields: readonly Field[], receivedAt: number): readonly Field[] {
  const date = fields.find(([name]) => name === 'date')?.[1] ?? null;
  if (parseHttpDate(date, receivedAt) !== undefined) return fields;
  return [...fields.filter(([name]) => name !== 'date'), ['date', new Date(receivedAt).toUTCString()]];
}

/** Unique by a count within this process, and by chance between processes. */
function newGeneration({ clock }: HttpSettings): string {
  generations += 1;
  return `${clock.now().toString(36)}-${clock.random().toString(36).slice(2)}-${generations}`;
}

let generations = 0;
