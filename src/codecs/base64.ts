/** An argument count that every engine accepts in one call. */
const CHUNK = 8_192;

/** `bytes` as base64 text. */
export function toBase64(bytes: Uint8Array): string {
  let units = '';
  for (let at = 0; at < bytes.length; at += CHUNK) units += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return btoa(units);
}

/** The bytes of base64 text. Throws for anything else. */
export function fromBase64(text: string): Uint8Array {
  const units = atob(text);
  const bytes = new Uint8Array(units.length);
  for (let at = 0; at < units.length; at += 1) bytes[at] = units.charCodeAt(at);
  return bytes;
}
