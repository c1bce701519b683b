import { renewed } from './answer.js';
import type { Errand } from './exchange.js';
import { rebuilt, respond } from './respond.js';
import { maySurviveError } from './reusable.js';
import type { StoredAnswer } from './stored-response.js';
import { told } from './told.js';
import { canValidate, isAbout, originHeaders } from './validation.js';

/**
 * Makes a request for one caller alone: its answer is shared with nobody, and stored nowhere.
 *
 * `stored` is the answer known for this very request. It saves the body if the origin confirms it, and stands in for a
 * failing origin where that is allowed.
 */
export async function solo(errand: Errand, stored: StoredAnswer | undefined): Promise<Response> {
  const { settings, ask, origin, forwarded } = errand;
  const { clock } = settings;
  const status = (more: { readonly forwardStatus?: number; readonly detail?: string }): string | undefined =>
    told(settings, errand, { forwarded, ...more });
  const survivor = (): Response | undefined =>
    stored !== undefined && maySurviveError(stored, ask, clock.now())
      ? respond(stored, ask, status({ detail: 'stale-if-error' }), clock.now())
      : undefined;

  const known = stored !== undefined && !ask.wants.reload && canValidate(stored) ? stored : undefined;
  const { signal } = ask;
  const requestedAt = clock.now();
  let response: Response;
  let isApart = false;
  const keepApart = (): void => void (isApart = true);
  try {
    response = await origin({
      headers: known === undefined ? ask.headers : originHeaders(ask.headers, known),
      signal,
      keepApart,
    });
    const isPointless = known !== undefined && response.status === 304 && !isAbout(known, response.headers);
    if (isPointless) response = await origin({ headers: originHeaders(ask.headers, undefined), signal, keepApart });
  } catch (error) {
    const stale = signal?.aborted === true ? undefined : survivor();
    if (stale === undefined) throw error;
    return stale;
  }
  const { status: forwardStatus, headers } = response;
  if (known !== undefined && forwardStatus === 304) {
    const { answer } = renewed(ask, known, { headers, requestedAt, receivedAt: clock.now() }, settings);
    const answered = respond(answer, ask, status({ forwardStatus }), clock.now());
    for (const cookie of headers.getSetCookie()) answered.headers.append('set-cookie', cookie);
    return answered;
  }
  const stale = forwardStatus >= 500 ? survivor() : undefined;
  if (stale === undefined) {
    const text = status({ forwardStatus });
    return isApart ? response : rebuilt(response, { status: text });
  }
  void response.body?.cancel().catch(() => {});
  return stale;
}
