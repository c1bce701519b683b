/** Two FNV-1a hashes of 32 bits with different starts. Of a long key the length, the first and the last 128 characters count. */
export function hashOf(key: string): { readonly high: number; readonly low: number } {
  let high = 0x811c9dc5 ^ key.length;
  let low = 0x01000193;
  const { length } = key;
  for (let index = 0; index < length; index += 1) {
    if (index === 128 && length > 256) index = length - 128;
    const code = key.charCodeAt(index);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0x85ebca6b) + index;
  }
  return { high, low };
}
