import { describe, expect, test } from 'vitest';

import { Directives } from '../../src/http/cache-control.js';
import { headerTags } from '../../src/http/response-tags.js';
import { targetedDirectives } from '../../src/http/targeted.js';
import { callerHasIt } from '../../src/http/validation.js';
import { selecting, varyNames } from '../../src/http/vary.js';

/**
 * Work that grows with the square of this length does not end before the runner gives the test up as hung, on any machine.
 * So nothing here looks at a clock: each test asserts what was read.
 */
const LENGTH = 512_000;
const of = (part: string): string => part.repeat(LENGTH / part.length);

describe('a field of half a megabyte is read to its end', () => {
  test.each([
    ['one directive again and again', of('a,')],
    ['directives with values', of('max-age=1,')],
    ['quotes', of('"x",')],
    ['a quote that never ends', `a,${of('a="')}"`, false],
    ['escapes that never end', `a="${of('\\')}`, false],
    ['white space', `a${of(' ')}b`, false],
    ['white space between commas', of(' ,')],
    ['junk', of('@;,')],
    ['names of fields', `private="${of('a,')}"`],
  ])('Cache-Control: %s', (_case, field, isClosed = true) => {
    const directives = new Directives(`${field},last=7`);

    expect(directives.seconds('last')).toBe(isClosed ? 7 : field.startsWith('a ') ? 7 : undefined);
    expect(directives.seconds('max-age')).toBe(field.startsWith('max-age') ? 1 : undefined);
    expect(directives.fieldNames('private')).toHaveLength(field.startsWith('private') ? LENGTH / 2 : 0);
    expect(directives.hasWhole('a')).toBe(field.startsWith('a,'));
  });

  test.each([
    ['commas', of('a,'), LENGTH / 2 + 1],
    ['white space', `a${of(' ')}b,${of('\t')}c`, 2],
    ['white space between commas', of(' ,'), LENGTH / 2 + 1],
  ])('what a response varies by: %s', (_case, value, members) => {
    const [selected] = selecting(['accept-language'], new Headers({ 'accept-language': value }));

    expect(selected?.[1]?.split(',')).toHaveLength(members);
    expect(varyNames(new Headers({ vary: `${value},x-last` })).at(-1)).toMatch(/^(x-last|\*)$/);
  });

  test('what a request varies by means the same with and without white space', () => {
    const value = (text: string): unknown => selecting(['accept'], new Headers({ accept: text }))[0]?.[1];

    expect(value('a ,\tb;q=0.1 , c d')).toBe('a, b;q=0.1, c d');
    expect(value(' a ')).toBe('a');
  });

  test('tags', () => {
    const headers = new Headers({ 'cache-tag': `${of('a ,')}last`, 'surrogate-key': `a${of(' ')}b` });

    expect(headerTags(headers)).toEqual(['a', 'last', 'b']);
  });

  test.each([
    [of('W/"'), false],
    [`${of('W/"b", ')}"a"`, true],
  ])('ETags (%#)', (field, isThere) => {
    expect(callerHasIt(new Headers({ 'if-none-match': field }), 200, new Headers({ etag: '"a"' }), 0)).toBe(isThere);
  });

  test.each([
    [`${of('a,')}max-age=7`, 7],
    [`max-age=7${of(';b')}`, 7],
    [`max-age=7${of(';b')}@`, undefined],
    [`a${of(' ')}b`, undefined],
  ])('targeted fields (%#)', (field, seconds) => {
    const directives = targetedDirectives(new Headers({ 'cdn-cache-control': field }), ['cdn-cache-control']);

    expect(directives?.seconds('max-age')).toBe(seconds);
  });
});
