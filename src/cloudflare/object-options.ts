import { checkClock, checkFunction, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { TieredCacheOptions } from '../cache/options.js';
import type { Clock, Codec, Duration } from '../contracts.js';
import { misuse } from '../errors.js';
import { checkCors, type Cors } from './cors.js';
import type { ObjectWrites } from './object-writes.js';
import { plainLoadMany, plainUpstream } from './plain-values.js';

/** Options of a `CacheObject`: those of a `TieredCache`, whose storage is the object's own. */
export interface DurableCacheOptions<V> extends Omit<TieredCacheOptions<V>, 'storage' | 'writes' | 'scope'> {
  /** `objectWrites({ sink, … })`: takes writes, keeps them in the object and delivers them in batches. @default none are taken */
  readonly writes?: ObjectWrites<V>;
  /**
   * Time without any request after which the object deletes everything stored, a subclass's data included, and takes no
   * space any more. That may come up to a sixteenth later, so that most requests need not store their time. @default Infinity
   */
  readonly idleTtl?: Duration;
  /**
   * `Cache-Control` of the values that `fetch` answers with. @default `'private, no-cache'` with the option `writes`, since an
   * edit must be seen at once; else `max-age` and `stale-while-revalidate` as the value is fresh and stale
   */
  readonly cacheControl?: string;
  /**
   * Origins whose pages may call `fetch` of the object, such as `['https://app.example']`, cookies included; `'*'` for all,
   * without cookies. Answers to `OPTIONS`, too. @default none
   */
  readonly cors?: '*' | readonly string[];
  /** Time between two sweeps of outlived entries. No alarm is set while there is nothing to remove. @default '1h' */
  readonly sweepEvery?: Duration;
  /** Turns values into text or bytes for storage. @default structuredCloneCodec */
  readonly codec?: Codec;
  /** Called when an alarm's handler failed; the alarm is tried again. @default the platform's `reportError` */
  readonly onAlarmError?: (name: string, error: unknown) => void;
}

/** {@link DurableCacheOptions}, checked where the cache does not check them itself. */
export interface ObjectSettings<V> {
  readonly cache: Omit<TieredCacheOptions<V>, 'storage' | 'writes' | 'scope'>;
  readonly writes: ObjectWrites<V> | undefined;
  readonly name: string;
  readonly codec: Codec | undefined;
  readonly cacheControl: string | undefined;
  readonly cors: Cors | undefined;
  readonly idleTtl: number;
  readonly sweepEvery: number;
  readonly onAlarmError: (name: string, error: unknown) => void;
  readonly clock: Clock;
}

/** Checks the result of `configure`. */
export function resolveObjectOptions<V>(options: DurableCacheOptions<V>): ObjectSettings<V> {
  checkObject('result of configure', options);
  if ('then' in options) throw misuse('result of configure', 'options, not a promise of them', options);
  if ('storage' in options)
    throw misuse(
      'storage',
      "left out: the object's own storage is used. Use a TieredCache for another",
      options.storage,
    );
  const { idleTtl = Infinity, sweepEvery = '1h', codec, cacheControl, cors, onAlarmError, writes, ...cache } = options;
  const { clock = systemClock, upstream, loadMany, name = 'soloflight' } = cache;
  checkClock(clock);
  checkCors(cors);
  checkFunction('upstream', upstream);
  checkFunction('loadMany', loadMany);
  checkFunction('onAlarmError', onAlarmError);
  if (writes !== undefined && typeof (writes as ObjectWrites<V> | null)?.start !== 'function')
    throw misuse('writes', 'the result of `objectWrites({ sink, … })`', writes);
  if (cacheControl !== undefined && !(typeof cacheControl === 'string' && /^[\x20-\x7e]+$/.test(cacheControl)))
    throw misuse('cacheControl', 'the text of a header', cacheControl);
  return {
    cache: {
      ...cache,
      ...(upstream === undefined ? {} : { upstream: plainUpstream(upstream) }),
      ...(loadMany === undefined ? {} : { loadMany: plainLoadMany(loadMany) }),
    },
    ...{ writes, name, codec, cors },
    cacheControl: cacheControl ?? (writes === undefined ? undefined : 'private, no-cache'),
    idleTtl: parseDuration('idleTtl', idleTtl, { zero: false, infinite: true }),
    sweepEvery: parseDuration('sweepEvery', sweepEvery, { zero: false }),
    onAlarmError: onAlarmError ?? ((_name, error) => reportError(error)),
    clock,
  };
}
