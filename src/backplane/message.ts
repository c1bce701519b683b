import type { BackplaneMessage } from '../contracts.js';

const KINDS: readonly unknown[] = ['set', 'invalidate', 'expire', 'tags', 'clear'];

/** `messages` as one text. The version comes first, so that later ones are not misread. */
export function encodeMessages(messages: readonly BackplaneMessage[]): string {
  return JSON.stringify({ soloflight: 1, messages });
}

/** The messages in `text`; none if it holds anything else. */
export function decodeMessages(text: string): readonly BackplaneMessage[] {
  try {
    return messagesIn(JSON.parse(text));
  } catch {
    return [];
  }
}

/** The messages in `data`, which may come from anywhere. */
export function messagesIn(data: unknown): readonly BackplaneMessage[] {
  const { soloflight, messages } = Object(data) as { soloflight?: unknown; messages?: unknown };
  return soloflight === 1 && Array.isArray(messages) ? messages.filter(isMessage) : [];
}

function isMessage(value: unknown): value is BackplaneMessage {
  const { origin, sequence, kind, space, keys, tags, mode, prefix, at } = Object(value) as Partial<BackplaneMessage>;
  if (typeof origin !== 'string' || !Number.isSafeInteger(sequence) || !KINDS.includes(kind)) return false;
  if (!isTexts(space) || !Number.isFinite(at)) return false;
  if (kind === 'clear') return prefix === undefined || typeof prefix === 'string';
  return kind === 'tags' ? isTexts(tags) && (mode === 'invalidate' || mode === 'expire') : isTexts(keys);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
