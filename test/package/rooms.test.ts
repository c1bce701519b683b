import { describe, expect, test } from 'vitest';

import { ENTRIES } from './entries.js';
import { circleIn, graphOf, importsIn, objectsOf, ORDER, roomOf, sourceFiles, type Import } from './rooms.js';

/** So many files of one room may use the same object of another room. */
const FILES_PER_OBJECT = 6;
/** The vocabulary of all rooms: its types are no objects of one room. */
const VOCABULARY = ['contracts', 'entry', 'errors'];
/** An entry with the name of its tier: two values that everything in between passes on. */
const WIDELY_USED = ['Found of ports.ts in read'];

const files = sourceFiles();
const imports = importsIn(files);
const between = imports.filter(({ from, to }) => roomOf(from) !== roomOf(to));
const rooms = ORDER.flat();
const ADAPTERS = ['memory', 'codecs', 'storage', 'backplane', 'redis'];
const entryFiles = ENTRIES.map(({ source }) => source.replace('src/', ''));
/** Entry points for a condition, which pass another one on. */
const variants = ENTRIES.filter(({ condition }) => condition !== undefined).map(({ source }) =>
  source.replace('src/', ''),
);

const arrow = ({ from, to }: Import): string => `${from} → ${to}`;
const heightOf = (file: string): number => -ORDER.findIndex((row) => row.includes(roomOf(file)));

describe('the rooms of src', () => {
  test('are those that the order lists, and every file is in one', () => {
    const found = new Set(files.map(roomOf));

    expect(files.length).toBeGreaterThan(200);
    expect(files.filter((file) => !rooms.includes(roomOf(file)))).toEqual([]);
    expect(rooms.filter((room) => !found.has(room))).toEqual([]);
  });

  test('have an index.ts only where that is an entry point', () => {
    const indexes = files.filter((file) => /(^|\/)index\.ts$/.test(file));

    expect(indexes.filter((file) => !entryFiles.includes(file))).toEqual([]);
  });
});

describe('imports', () => {
  test('go down from room to room', () => {
    expect(between.length).toBeGreaterThan(500);
    expect(between.filter(({ from, to }) => heightOf(from) <= heightOf(to)).map(arrow)).toEqual([]);
  });

  test('form no circle of rooms', () => {
    const [first, ...others] = circleIn(graphOf(imports, roomOf)) ?? [];
    const steps = others.map((room, at) => [others[at - 1] ?? first, room] as const);

    expect(steps.map(([from, to]) => ({ from, to, by: arrowsBetween(from, to).slice(0, 3) }))).toEqual([]);
  });

  test('form no circle of files', () => {
    expect(circleIn(graphOf(imports, (file) => file)) ?? []).toEqual([]);
  });

  test('name no entry point: it is for users alone', () => {
    const used = imports.filter(({ from, to }) => entryFiles.includes(to) && !variants.includes(from));

    expect(used.map(arrow)).toEqual([]);
  });

  test('leave each adapter alone: a program that uses one does not bundle the others', () => {
    const byEntry = imports.filter(({ from, passedOn }) => passedOn && entryFiles.includes(from));
    const exposed = new Set([...entryFiles, ...byEntry.filter(({ types }) => !types).map(({ to }) => to)]);
    const inside = imports.filter(({ from, to }) => roomOf(from) === roomOf(to) && ADAPTERS.includes(roomOf(to)));
    // The default codec is those two by design: JSON for plain data, structured clones for the rest.
    const used = inside.filter((found) => !byEntry.includes(found) && found.from !== 'codecs/value.ts');

    expect(exposed.size).toBeGreaterThan(30);
    expect(used.filter(({ to }) => exposed.has(to)).map(arrow)).toEqual([]);
  });

  test('take nothing but types from the ports', () => {
    expect(between.filter(({ to, types }) => roomOf(to) === 'ports' && !types).map(arrow)).toEqual([]);
  });

  test('take from read/, outside of the core, types and what an upstream may return', () => {
    const outside = between.filter(({ from }) => !['index', 'cache'].includes(roomOf(from)));
    const values = outside.filter(({ to, types }) => roomOf(to) === 'read' && !types);

    expect(values.filter(({ to }) => to !== 'read/loaded.ts').map(arrow)).toEqual([]);
  });

  test(`hand no object to more than ${FILES_PER_OBJECT} files of a room other than its own`, () => {
    expect(objectsHandedWidely().filter(({ name }) => !WIDELY_USED.includes(name))).toEqual([]);
  });
});

describe('the search for circles', () => {
  const graph = (...arrows: readonly (readonly [string, string])[]): ReturnType<typeof graphOf> =>
    graphOf(
      arrows.map(([from, to]) => ({ from, to, names: [], types: false, passedOn: false })),
      (file) => file,
    );

  test('finds one behind nodes that lead nowhere', () => {
    expect(circleIn(graph(['a', 'b'], ['a', 'c'], ['c', 'd'], ['d', 'e'], ['e', 'c']))).toEqual(['c', 'd', 'e', 'c']);
    expect(circleIn(graph(['a', 'a']))).toEqual(['a', 'a']);
  });

  test('finds none where two ways lead to the same node', () => {
    expect(circleIn(graph(['a', 'b'], ['a', 'c'], ['b', 'd'], ['c', 'd']))).toBeUndefined();
  });
});

function arrowsBetween(from: string | undefined, to: string): string[] {
  return between.filter((found) => roomOf(found.from) === from && roomOf(found.to) === to).map(arrow);
}

/** Interfaces and classes that too many files of one other room import, with these files. */
function objectsHandedWidely(): { name: string; files: string[] }[] {
  const found: { name: string; files: string[] }[] = [];
  for (const file of files.filter((file) => !VOCABULARY.includes(roomOf(file)))) {
    for (const object of objectsOf(file)) {
      const takers = between.filter(({ to, names }) => to === file && names.includes(object)).map(({ from }) => from);
      for (const room of rooms) {
        const inRoom = [...new Set(takers)].filter((taker) => roomOf(taker) === room);
        if (inRoom.length > FILES_PER_OBJECT) found.push({ name: `${object} of ${file} in ${room}`, files: inRoom });
      }
    }
  }
  return found;
}
