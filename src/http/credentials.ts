/** The fields that tell who asks. */
export const CREDENTIALS: readonly string[] = ['authorization', 'cookie'];

/**
 * `headers` with a digest in place of each credential: enough to tell users apart, and no secret in keys and storage.
 *
 * Pages without TLS have no digests. There the credential itself is kept, in a form that no normalising changes.
 */
export async function withDigests(headers: Headers): Promise<Headers> {
  const own = new Headers(headers);
  for (const name of CREDENTIALS) {
    const value = headers.get(name);
    if (value !== null) own.set(name, await digest(value));
  }
  return own;
}

async function digest(text: string): Promise<string> {
  const { subtle } = crypto as { readonly subtle?: typeof crypto.subtle };
  if (subtle === undefined) return encodeURIComponent(text);
  const bytes = await subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
