import { describe, expect, test } from 'vitest';

import { Directives } from '../../src/http/cache-control.js';
import { headerTags } from '../../src/http/response-tags.js';
import { targetedDirectives } from '../../src/http/targeted.js';
import { callerHasIt } from '../../src/http/validation.js';
import { selecting, varyNames } from '../../src/http/vary.js';

const LENGTH = 512_000;
const of = (part: string): string => part.repeat(LENGTH / part.length);

/** Work that grows with the square of the length would take minutes here, and linear work some milliseconds. */
const LIMIT = 3_000;

function msOf(work: () => unknown): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

describe('a field of half a megabyte is read in linear time', () => {
  test.each([
    ['one directive again and again', of('a,')],
    ['directives with values', of('max-age=1,')],
    ['quotes', of('"')],
    ['values that never end', of('a="')],
    ['escapes', `a="${of('\\')}`],
    ['white space', `a${of(' ')}b`],
    ['white space between commas', of(' ,')],
    ['junk', of('@;,')],
    ['names of fields', `private="${of('a,')}"`],
  ])('Cache-Control: %s', (_case, field) => {
    const ms = msOf(() => {
      const directives = new Directives(field);
      directives.seconds('a');
      directives.seconds('max-age');
      directives.fieldNames('private');
      directives.hasWhole('a');
    });

    expect(ms).toBeLessThan(LIMIT);
  });

  test.each([
    ['commas', of('a,')],
    ['white space', `a${of(' ')}b,${of('\t')}c`],
    ['white space between commas', of(' ,')],
  ])('what a response varies by: %s', (_case, value) => {
    expect(msOf(() => selecting(['accept-language'], new Headers({ 'accept-language': value })))).toBeLessThan(LIMIT);
    expect(msOf(() => varyNames(new Headers({ vary: value })))).toBeLessThan(LIMIT);
  });

  test('what a request varies by means the same with and without white space', () => {
    const value = (text: string): unknown => selecting(['accept'], new Headers({ accept: text }))[0]?.[1];

    expect(value('a ,\tb;q=0.1 , c d')).toBe('a, b;q=0.1, c d');
    expect(value(' a ')).toBe('a');
  });

  test('tags, ETags and targeted fields', () => {
    expect(
      msOf(() => headerTags(new Headers({ 'cache-tag': of('a ,'), 'surrogate-key': `a${of(' ')}b` }))),
    ).toBeLessThan(LIMIT);
    expect(
      msOf(() => callerHasIt(new Headers({ 'if-none-match': of('W/"') }), 200, new Headers({ etag: '"a"' }), 0)),
    ).toBeLessThan(LIMIT);
    for (const field of [of('a,'), of('a;b'), `a${of(';b')}@`, `a${of(' ')}b`])
      expect(
        msOf(() => targetedDirectives(new Headers({ 'cdn-cache-control': field }), ['cdn-cache-control'])),
      ).toBeLessThan(LIMIT);
  });
});
