import type { Field } from './stored-response.js';

/** Fields of the connection, not of the message (RFC 9111 §3.1, RFC 9110 §7.6.1). */
const CONNECTION = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Fields of one delivery to one caller. A reused response gets new ones, or none. */
const PERSONAL = ['age', 'set-cookie', 'set-cookie2'];

/** Fields that a 304 must not change: they describe the stored body (RFC 9111 §3.2). */
const OF_THE_BODY = ['content-length', 'content-encoding', 'content-range', 'content-md5', 'content-digest'];

/** The fields of `headers` that may be stored, without those named in `hidden`. */
export function storableFields(headers: Headers, hidden: readonly string[]): Field[] {
  const named = (headers.get('connection') ?? '').toLowerCase().split(/[\t ,]+/);
  const left = new Set([...CONNECTION, ...PERSONAL, ...named, ...hidden]);
  return [...headers].filter(([name]) => !left.has(name));
}

/** Stored fields brought up to date by those of a newer response without a body of its own. */
export function mergedFields(stored: readonly Field[], newer: readonly Field[]): Field[] {
  const fields = newer.filter(([name]) => !OF_THE_BODY.includes(name));
  const renewed = new Set(fields.map(([name]) => name));
  return [...stored.filter(([name]) => !renewed.has(name)), ...fields];
}
