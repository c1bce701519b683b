import { describe, expect, test } from 'vitest';

import { sealAsBytes, sealAsText, unseal } from '../../src/codecs/envelope.js';
import { structuredCloneCodec } from '../../src/codecs/index.js';
import { isSoloflightError, jsonCodec, type Codec, type Entry } from '../../src/index.js';
import { sampleEntry } from '../../src/testing/storage-suite/samples.js';

const AT = 1_700_000_000_000;
const ENTRY = sampleEntry(AT);

const bothForms = [
  ['text', sealAsText],
  ['bytes', sealAsBytes],
] as const;

describe.each(bothForms)('an entry sealed as %s', (form, seal) => {
  test.each<[string, Codec, Partial<Entry>]>([
    ['text', jsonCodec, {}],
    ['text beyond ASCII', jsonCodec, { value: '\n\n漢é👩\ud800\ufeff', tags: ['\n', '\ud800'], meta: '\n' }],
    ['bytes', structuredCloneCodec, { value: new Map([[1, new Date(5)]]) }],
    ['many bytes', structuredCloneCodec, { value: new Uint8Array(100_000).fill(200) }],
    ['an absent value', jsonCodec, { value: undefined }],
    ['no metadata', jsonCodec, { meta: undefined, tags: [] }],
    ['metadata that is null', jsonCodec, { meta: null }],
    ['claims', jsonCodec, { meta: { etag: 'x' }, claims: ['planted 1', ''] }],
    ['claims without metadata', jsonCodec, { meta: undefined, claims: [' 1'] }],
    ['claims and metadata that is null', jsonCodec, { meta: null, claims: [' 1'] }],
    ['what never ends', jsonCodec, { freshUntil: Infinity, staleUntil: Infinity, errorUntil: Infinity }],
    ['what ended before all time', jsonCodec, { freshUntil: -Infinity, startedAt: AT + 0.25 }],
  ])('comes back whole: %s', async (_name, codec, changes) => {
    const entry = { ...ENTRY, ...changes };

    const sealed = await seal('k', entry, codec);

    expect(typeof sealed).toBe(form === 'text' ? 'string' : 'object');
    expect(await unseal('k', sealed, codec)).toStrictEqual(entry);
  });

  test('is sealed and read without waiting where its codec does not wait', () => {
    expect(unseal('k', seal('k', ENTRY, jsonCodec), jsonCodec)).toStrictEqual(ENTRY);
  });

  test('is read by its own codec only, an absent one by any', () => {
    const absent = { ...ENTRY, value: undefined };

    expect(undecodable(() => unseal('k', seal('k', ENTRY, jsonCodec), structuredCloneCodec))).toMatch(/codec 'json'/);
    expect(unseal('k', seal('k', absent, jsonCodec), structuredCloneCodec)).toStrictEqual(absent);
  });

  test('is not read cut off, wherever', async () => {
    const sealed = (await seal('k', { ...ENTRY, value: 123_456 }, jsonCodec)) as string;

    for (let length = 0; length < sealed.length; length += 1)
      expect(
        undecodable(() => unseal('k', sealed.slice(0, length), jsonCodec)),
        `cut to ${length}`,
      ).toContain("'k'");
  });

  test('is not sealed with metadata that JSON has no form for', () => {
    expect(() => seal('k', { ...ENTRY, meta: () => 1 }, jsonCodec)).toThrow(/`meta`/);
  });
});

test('text that a storage gives back as bytes is read all the same', () => {
  const sealed = sealAsText('k', { ...ENTRY, value: '漢' }, jsonCodec) as string;

  expect(unseal('k', Buffer.from(sealed), jsonCodec)).toStrictEqual({ ...ENTRY, value: '漢' });
});

test('what this version wrote stays readable', () => {
  const written = 'soloflight/1 ["json","text",3,1,2,30,"Infinity","Infinity",0.5,["t"],{"etag":"x"}]\n"v"';
  const entry = {
    value: 'v',
    startedAt: 1,
    createdAt: 2,
    freshUntil: 30,
    staleUntil: Infinity,
    errorUntil: Infinity,
    loadMs: 0.5,
    tags: ['t'],
    meta: { etag: 'x' },
  };

  expect(unseal('k', written, jsonCodec)).toStrictEqual(entry);
  expect(sealAsText('k', entry, jsonCodec)).toBe(written);
});

describe('what is not an entry of this version', () => {
  const header = '["json","text",1,1,2,3,4,5,0,[]]';

  test.each<[string, unknown, RegExp]>([
    ['a later version', `soloflight/2 ${header}\n1`, /format version 2, and only 1/],
    ['nothing', '', /not written by soloflight/],
    ['other text', '{"a":1}', /not written by soloflight/],
    ['another header', 'soloflight/1 {"a":1}\n1', /no array/],
    ['a header that is not JSON', 'soloflight/1 [1,\n1', /not JSON/],
    ['a header without numbers', 'soloflight/1 ["json","text",1]\n1', /not that of an entry/],
    ['an unknown form', `soloflight/1 ${header.replace('text', 'zip')}\n1`, /not that of an entry/],
    ['an instant that is text', `soloflight/1 ${header.replace('3', '"3"')}\n1`, /not that of an entry/],
    ['tags that are none', `soloflight/1 ${header.replace('[]', '[1]')}\n1`, /not that of an entry/],
    ['a payload that is too long', `soloflight/1 ${header}\n12`, /length 2 instead of 1/],
    ['a payload that is not JSON', `soloflight/1 ${header}\n?`, /codec 'json' failed/],
    ['a payload that is not base64', `soloflight/1 ${header.replace('text', 'base64')}\n?`, /not base64/],
    ['bytes that became text', `soloflight/1 ${header.replace('text', 'bytes')}\n1`, /came back as text/],
    ['bytes that are not UTF-8', Uint8Array.of(200, 10, 1), /not UTF-8/],
    ['an object', { value: 1 }, /neither text nor bytes/],
    ['a number', 1, /neither text nor bytes/],
    ['null', null, /neither text nor bytes/],
  ])('is undecodable: %s', (_name, sealed, reason) => {
    expect(undecodable(() => unseal('k', sealed, jsonCodec))).toMatch(reason);
  });

  test('is undecodable where the codec says so later, or makes nothing of it', async () => {
    const sealed = `soloflight/1 ${header.replace('json', 'late')}\n1`;
    const late = (decode: Codec['decode']): Codec => ({ name: 'late', encode: () => '', decode });

    await expect(
      unseal(
        'k',
        sealed,
        late(() => Promise.reject(new Error('no'))),
      ),
    ).rejects.toMatchObject({
      code: 'SOLOFLIGHT_UNDECODABLE',
      cause: new Error('no'),
    });
    await expect(
      unseal(
        'k',
        sealed,
        late(async () => undefined),
      ),
    ).rejects.toMatchObject({
      code: 'SOLOFLIGHT_UNDECODABLE',
    });
  });
});

function undecodable(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) return error.message;
    throw error;
  }
  throw new Error('It was decoded');
}
