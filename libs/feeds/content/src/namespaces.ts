/** The namespaces that feeds share, by the prefix that everybody gives them. */
export const USUAL_NAMESPACES: ReadonlyMap<string, string> = new Map([
  ['atom', 'http://www.w3.org/2005/Atom'],
  ['content', 'http://purl.org/rss/1.0/modules/content/'],
  ['dc', 'http://purl.org/dc/elements/1.1/'],
  ['googleplay', 'http://www.google.com/schemas/play-podcasts/1.0'],
  ['itunes', 'http://www.itunes.com/dtds/podcast-1.0.dtd'],
  ['media', 'http://search.yahoo.com/mrss/'],
  ['podcast', 'https://podcastindex.org/namespace/1.0'],
]);

/** Namespaces that belong to the prefixes `xml` and `xmlns`, and may not be given to another (Namespaces in XML, §3). */
const RESERVED = ['http://www.w3.org/XML/1998/namespace', 'http://www.w3.org/2000/xmlns/'];

/** What a prefix stands for: what is declared, else what it usually does, else a name of its own, so that every prefix has a namespace. */
export function namespaceOf(prefix: string, declared: string | undefined): string {
  if (declared && !RESERVED.includes(declared)) return declared;
  return USUAL_NAMESPACES.get(prefix) ?? `urn:undeclared:${prefix}`;
}
