/** The most leading parts of a path that get a tag. Longer paths share the last one. */
const DEEPEST = 16;
const PREFIX = 'prefix:';

/** The tags that the origin gave its response: `Cache-Tag` is separated by commas, `Surrogate-Key` by spaces. */
export function headerTags(headers: Headers): readonly string[] {
  const tagged = (headers.get('cache-tag') ?? '').split(',');
  const keyed = (headers.get('surrogate-key') ?? '').split(/[\t ,]+/);
  return [...new Set([...tagged, ...keyed].map((tag) => tag.trim()).filter((tag) => tag !== ''))];
}

/** A tag for each leading part of the path, the origin's own root first. */
export function prefixTags(url: string): readonly string[] {
  const { origin, pathname } = new URL(url);
  const parts = pathname.split('/').slice(1, -1).slice(0, DEEPEST);
  return parts.reduce((tags, part) => [...tags, `${tags.at(-1)}${part}/`], [`${PREFIX}${origin}/`]);
}

/** The tag of all responses whose URL begins with `prefix`, up to and including a slash. */
export function prefixTag(prefix: string): string {
  const { origin, pathname } = new URL(prefix);
  return `${PREFIX}${origin}${pathname.slice(0, pathname.lastIndexOf('/') + 1)}`;
}
