import { misuse } from '../errors.js';
import type { Lookup } from '../read/outcome.js';

const TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*$/;
const PRINTABLE = /^[\x20-\x7e]*$/;

/**
 * Renders the story of a read as the value of a `Cache-Status` header.
 *
 * Keys are left out: they may be private. The tier, or the kind of fallback, is the `detail`.
 *
 * @throws TypeError for a cache name that a header can't carry: anything but printable ASCII.
 * @see RFC 9211
 */
export function toCacheStatus(lookup: Lookup<unknown>, cacheName = 'soloflight'): string {
  const parts = [item('cacheName', cacheName), ...parametersOf(lookup)];
  if (Number.isFinite(lookup.freshFor)) parts.push(`ttl=${Math.floor(lookup.freshFor / 1_000)}`);
  const detail = lookup.status === 'fallback' ? 'stale-if-error' : lookup.tier;
  if (lookup.status !== 'miss' && PRINTABLE.test(detail)) parts.push(`detail=${item('detail', detail)}`);
  return parts.join('; ');
}

function parametersOf({ status, stored, role }: Lookup<unknown>): string[] {
  const collapsed = role === 'follower' ? ['collapsed'] : [];
  switch (status) {
    case 'hit':
    case 'stale':
      return ['hit'];
    case 'miss':
      return stored ? ['fwd=miss', 'stored', ...collapsed] : ['fwd=miss', ...collapsed];
    case 'fallback':
      return ['fwd=stale', ...collapsed];
  }
}

/** A token where the text is one, else a quoted string (RFC 9651 §3.3.3 and §3.3.4). */
function item(name: string, text: string): string {
  if (typeof text !== 'string' || !PRINTABLE.test(text)) throw misuse(name, 'printable ASCII text', text);
  return TOKEN.test(text) ? text : quoted(text);
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** What an HTTP cache did with one request. Durations are milliseconds. */
export interface HttpCacheStatus {
  /** The parameter `fwd`: why the request went towards the origin. Absent for a hit; `'no'` if it is none and went nowhere. */
  readonly forwarded?: 'no' | 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'stale' | 'request';
  readonly forwardStatus?: number | undefined;
  readonly stored?: boolean;
  /** Whether another caller's request brought the answer. */
  readonly collapsed?: boolean;
  /** How much longer the response is fresh; negative once it is stale. */
  readonly freshFor?: number | undefined;
  readonly key?: string | undefined;
  readonly detail?: string | undefined;
}

/**
 * Renders what happened to one request as a member of a `Cache-Status` field.
 *
 * @see RFC 9211 §2
 */
export function renderCacheStatus(cacheName: string, status: HttpCacheStatus): string {
  const parts = [item('cacheName', cacheName)];
  if (status.forwarded === undefined) parts.push('hit');
  else if (status.forwarded !== 'no') parts.push(`fwd=${status.forwarded}`);
  if (status.forwardStatus !== undefined) parts.push(`fwd-status=${status.forwardStatus}`);
  if (status.stored === true) parts.push('stored');
  if (status.collapsed === true) parts.push('collapsed');
  if (status.freshFor !== undefined) parts.push(`ttl=${Math.floor(status.freshFor / 1_000)}`);
  if (status.key !== undefined && PRINTABLE.test(status.key)) parts.push(`key=${quoted(status.key)}`);
  if (status.detail !== undefined) parts.push(`detail=${item('detail', status.detail)}`);
  return parts.join('; ');
}
