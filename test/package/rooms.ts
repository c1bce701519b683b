// The graph of imports between the rooms of `src`. `node test/package/rooms.ts` prints it.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

import ts from 'typescript';

import { root } from './command.ts';

/** The rooms, top to bottom. A file of `src` itself is a room of its own. Every import goes to a room further down. */
export const ORDER: readonly (readonly string[])[] = [
  // The same entry points for plain Workers, and for Node.
  ['index.workerd', 'http.workerd', 'cloudflare.node'],
  ['index'],
  ['cloudflare', 'node'],
  ['http', 'browser', 'testing', 'observe'],
  ['writes'],
  ['cache'],
  ['redis'],
  ['storage', 'backplane'],
  ['memory', 'codecs'],
  ['requests'],
  ['read', 'change', 'tiers', 'fleet', 'pending'],
  ['ports'],
  ['flights', 'marks'],
  ['base'],
  ['contracts'],
  ['entry', 'errors'],
];

/** What any file may use: left out of the printed graph. */
const COMMON = ['contracts', 'entry', 'errors'];

/** One file that imports another one. Paths begin in `src`. */
export interface Import {
  readonly from: string;
  readonly to: string;
  /** What is imported by name. */
  readonly names: readonly string[];
  /** Whether only types are. */
  readonly types: boolean;
  /** Whether the importing file only passes it on. */
  readonly passedOn: boolean;
}

/** Who imports whom, by name. */
export type Graph = ReadonlyMap<string, ReadonlySet<string>>;

const SOURCE = join(root, 'src');

/** All files of the source, in order. */
export function sourceFiles(): string[] {
  const files = globSync('**/*.ts', { cwd: SOURCE, exclude: ['**/*.d.ts'] });
  return files.map((file) => file.split(sep).join('/')).toSorted();
}

/** All imports of one file of the source by another, those of types included. */
export function importsIn(files: readonly string[]): Import[] {
  return files.flatMap((from) => importsOf(from, parse(from)));
}

/** The room of `file`: its folder, or its own name. */
export function roomOf(file: string): string {
  return file.split('/')[0]!.replace(/\.ts$/, '');
}

/** `imports`, with files or rooms as the nodes. */
export function graphOf(imports: readonly Import[], nodeOf: (file: string) => string): Graph {
  const graph = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    const [importer, imported] = [nodeOf(from), nodeOf(to)];
    if (importer !== imported || from === to) graph.set(importer, (graph.get(importer) ?? new Set()).add(imported));
  }
  return graph;
}

/** A circle in `graph`, as the nodes on the way round. */
export function circleIn(graph: Graph): string[] | undefined {
  const left = new Set<string>();
  const path: string[] = [];
  const walk = (node: string): string[] | undefined => {
    const start = path.indexOf(node);
    if (start >= 0) return [...path.slice(start), node];
    if (left.has(node)) return undefined;
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      const circle = walk(next);
      if (circle !== undefined) return circle;
    }
    path.pop();
    left.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const circle = walk(node);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** Names of the interfaces and classes that `file` exports. */
export function objectsOf(file: string): string[] {
  return parse(file).statements.flatMap((statement) => {
    if (!ts.isInterfaceDeclaration(statement) && !ts.isClassDeclaration(statement)) return [];
    const exported = statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
    return exported && statement.name !== undefined ? [statement.name.text] : [];
  });
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(SOURCE, file), 'utf8'), ts.ScriptTarget.Latest);
}

function importsOf(from: string, source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, how: Omit<Import, 'from' | 'to'>): void => {
    if (specifier === undefined || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return;
    found.push({ from, to: fileAt(from, specifier.text), ...how });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, importedBy(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, exportedBy(node));
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], { names: [], types: false, passedOn: false });
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, { names: [], types: true, passedOn: false });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function importedBy(clause: ts.ImportClause | undefined): Omit<Import, 'from' | 'to'> {
  const bindings = clause?.namedBindings;
  const named = bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : [];
  const types = isOfTypes(clause) || (named.length > 0 && named.every(isOfTypes));
  return { names: named.map(nameOf), types, passedOn: false };
}

function exportedBy(node: ts.ExportDeclaration): Omit<Import, 'from' | 'to'> {
  const clause = node.exportClause;
  const named = clause !== undefined && ts.isNamedExports(clause) ? clause.elements : [];
  const types = node.isTypeOnly || (named.length > 0 && named.every(isOfTypes));
  return { names: named.map(nameOf), types, passedOn: true };
}

function nameOf({ propertyName, name }: ts.ImportSpecifier | ts.ExportSpecifier): string {
  return (propertyName ?? name).text;
}

function isOfTypes(node: { readonly isTypeOnly: boolean } | undefined): boolean {
  return node?.isTypeOnly ?? false;
}

/** The file that `specifier` names in `from`. */
function fileAt(from: string, specifier: string): string {
  const path = join(SOURCE, dirname(from), specifier.replace(/\.js$/, '.ts'));
  if (!existsSync(path)) throw new Error(`${from} imports ${specifier}, which is no file`);
  return relative(SOURCE, path).split(sep).join('/');
}

/** The rooms from the top down, each with the rooms that it imports. */
function printed(graph: Graph): string {
  const rooms = ORDER.flat().filter((room) => !COMMON.includes(room));
  const width = Math.max(...rooms.map((room) => room.length));
  const lines = rooms.map((room) => {
    const imported = rooms.filter((other) => graph.get(room)?.has(other));
    return `${room.padEnd(width)} → ${imported.join(', ')}`.replace(/ → $/, '');
  });
  return [...lines, `All import ${COMMON.join(', ')}.`].join('\n');
}

if (import.meta.main) console.log(printed(graphOf(importsIn(sourceFiles()), roomOf)));
