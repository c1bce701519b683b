import { systemClock } from '../base/clock.js';
import { misuse, SoloflightError } from '../errors.js';
import { fromErrorData } from './error-data.js';
import type { Question, Reply } from './question.js';

/** An object as a client sees it for one call. */
export interface Answering {
  ask(question: Question): PromiseLike<Reply>;
}

/** Pause before asking again, halved at most by chance, so that not all come back at once. */
const PAUSE = 100;

/**
 * What the object answers; what it failed with is thrown as it was there.
 *
 * `stub` is called for each attempt: one that failed may be broken for good. The object's own failures are answers, so a
 * call that rejects did not reach it, or it was reset, moved or overloaded on the way. What may be done twice is tried
 * once more.
 */
export async function ask(stub: () => Answering, question: Question, name: string): Promise<unknown> {
  let reply: Reply;
  try {
    reply = await attempt(stub, question);
  } catch (error) {
    throw explained(error, name);
  }
  if (!reply.ok) throw fromErrorData(reply.error);
  return reply.value;
}

async function attempt(stub: () => Answering, question: Question): Promise<Reply> {
  try {
    return await stub().ask(question);
  } catch (error) {
    if (!isRepeatable(question) || isOurs(error)) throw error;
  }
  await new Promise<void>((resolve) => void systemClock.after(PAUSE * (1 - systemClock.random() / 2), resolve));
  return await stub().ask(question);
}

/** Reads may be done twice, and so may invalidations. A write done again could undo a newer one. */
function isRepeatable({ verb }: Question): boolean {
  return verb !== 'set' && verb !== 'update' && verb !== 'delete';
}

/** What another attempt would not change: something that can't be sent, or an object of another class. */
function isOurs(error: unknown): boolean {
  return error instanceof TypeError || isUncloneable(error);
}

function isUncloneable(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'DataCloneError';
}

function explained(error: unknown, name: string): unknown {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes('does not implement'))
    return misuse('namespace', 'the binding of a Durable Object whose class extends CacheObject', message);
  // What can't be sent at all is the caller's own doing.
  if (isUncloneable(error)) return error;
  return new SoloflightError(
    'SOLOFLIGHT_OBJECT_UNAVAILABLE',
    `The Durable Object '${name.slice(0, 80)}' could not answer: ${message}`,
    { cause: error },
  );
}
