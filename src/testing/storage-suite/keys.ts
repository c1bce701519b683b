const LONG = 'k'.repeat(10_000);

/** Keys that every storage can take. */
export const PLAIN_KEYS: readonly string[] = ['a', 'b', 'ab', 'a-1', 'a-10', 'user_1', '1', '01', 'k'.repeat(100)];

/** Keys that have been lost, mixed up or run as code somewhere. No two are equal. */
export const HOSTILE_KEYS: readonly string[] = [
  ...PLAIN_KEYS,
  // Emptiness, space, case
  ...['', ' ', '  ', 'a ', ' a', '\t', '\n', 'A', 'AB'],
  // NUL and other control characters
  ...['\0', '\0\0', 'a\0', 'a\0b', 'a\0c', '\x01', '\x7f', 'a\r\nDEL b\r\n'],
  // Names with a meaning in JavaScript
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', 'null', 'undefined', 'NaN', 'true'],
  // Numbers
  ...['0', '00', '-0', '1.0', '1e0', '0x1', '9007199254740993', '9007199254740992'],
  // Queries, patterns, paths, separators, escapes
  ...[
    "'; DROP TABLE soloflight; --",
    '" OR 1=1 --',
    "x' OR 'x'='x",
    '?',
    '?1',
    ':a',
    '@a',
    '$a',
    '%',
    '_',
    'a%',
    '*',
    'a*',
    '[a]',
    '{a}',
    '.',
    '..',
  ],
  ...[
    '../../etc/passwd',
    '/',
    '\\',
    'a/b',
    'a//b',
    'a/',
    'a:b',
    'a::b',
    ':',
    '#',
    'a?b=c&d',
    '%00',
    '%61',
    '\\0',
    '\\u0000',
    '\\ud800',
    '&amp;',
  ],
  // Text that is the same only to the eye, or after folding
  ...[
    '\u00e9',
    'e\u0301',
    'ß',
    'ss',
    'SS',
    'i',
    'I',
    'ı',
    'İ',
    '\u212b',
    '\u00c5',
    'ﬁ',
    'fi',
    '\u200b',
    '\u00a0',
    '\ufeff',
    '\ufeffa',
    '\u202ea',
  ],
  // Beyond the basic plane, and halves of it
  ...[
    '\u{1f4a9}',
    '👩‍👩‍👧',
    '👩👩👧',
    '\ud83d',
    '\udca9',
    '\udca9\ud83d',
    'a\ud800',
    'a\ud801',
    'a\udc00',
    'a\ufffd',
    'a\ufffd\ufffd',
    '\ufffd',
    '\uffff',
  ],
  // Length
  ...[LONG, `${LONG}k`, `${LONG}l`, `l${LONG}`, '漢'.repeat(5_000)],
];
