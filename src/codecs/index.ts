export type { Codec } from '../contracts.js';
export { encrypt, type EncryptionKey, type EncryptOptions, type WebCryptoKey } from './encrypt.js';
export { gzip, type GzipOptions } from './gzip.js';
export { structuredCloneCodec } from './structured-clone.js';
export { textCodec, type TextFormat } from './text.js';
export { valueCodec } from './value.js';
