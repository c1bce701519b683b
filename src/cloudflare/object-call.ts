import { systemClock } from '../base/clock.js';
import { misuse, SoloflightError } from '../errors.js';
import { fromErrorData } from './error-data.js';
import { failure } from './json-face.js';
import type { Question, Reply } from './question.js';

/** The object, for one call of a client. */
export interface Answering {
  ask(question: Question): PromiseLike<Reply>;
}

/** The object, for a request passed on. The platform's types have a `Request` and a `Response` of their own, the same at run time. */
export interface Fetching {
  fetch(request: never): Promise<unknown>;
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

/** Passes `request` on to the object. A read that the platform fails in a way that may pass is sent once more. */
export async function fetchObject(stub: () => Fetching, request: Request, name: string): Promise<Response> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  try {
    return await twice(
      async () => (await stub().fetch(request as never)) as Response,
      (error) => isRead && Object(error).retryable === true && Object(error).overloaded !== true,
    );
  } catch (error) {
    // The reason is for the logs, not for strangers.
    reportError(explained(error, name));
    const message = 'The object could not answer. Try again in a moment';
    return failure(503, 'SOLOFLIGHT_OBJECT_UNAVAILABLE', message, { 'retry-after': '1' });
  }
}

function attempt(stub: () => Answering, question: Question): Promise<Reply> {
  return twice(
    async () => stub().ask(question),
    (error) => isRepeatable(question) && !isOurs(error),
  );
}

async function twice<T>(call: () => Promise<T>, isWorthIt: (error: unknown) => boolean): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isWorthIt(error)) throw error;
  }
  await new Promise<void>((resolve) => void systemClock.after(PAUSE * (1 - systemClock.random() / 2), resolve));
  return call();
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
