export type { Codec } from '../contracts.js';
export { gzip, type GzipOptions } from './gzip.js';
export { structuredCloneCodec } from './structured-clone.js';
