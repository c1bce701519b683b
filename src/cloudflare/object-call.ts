import { systemClock } from '../base/clock.js';
import { misuse, SoloflightError } from '../errors.js';
import { fromErrorData } from './error-data.js';
import type { Question, Reply } from './question.js';

/** The object, for one call of a client. */
export interface Answering {
  ask(question: Question): PromiseLike<Reply>;
}

/** Pause before the second attempt, shortened by up to half at random, so that clients don't come back all at once. */
const PAUSE = 100;

/**
 * Calls the object and returns its answer. Throws its failure as it was there.
 *
 * `stub` is called for each attempt, since a stub that failed may be broken for good. The object's own failures are
 * answers. A call that rejects did not reach the object, or the object was reset, moved or overloaded meanwhile. A
 * repeatable call is tried once more.
 */
export async function callObject(stub: () => Answering, question: Question, name: string): Promise<unknown> {
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

/** Reads and invalidations may be repeated. A repeated write could undo a newer one. */
function isRepeatable({ verb }: Question): boolean {
  return verb !== 'set' && verb !== 'update' && verb !== 'delete';
}

/** Whether another attempt would fail the same way: the call can't be sent, or the object has another class. */
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
  // Data that can't be sent is the caller's own mistake.
  if (isUncloneable(error)) return error;
  return new SoloflightError(
    'SOLOFLIGHT_OBJECT_UNAVAILABLE',
    `The Durable Object '${name.slice(0, 80)}' could not answer: ${message}`,
    { cause: error },
  );
}
