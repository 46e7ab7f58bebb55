import { SaxesParser } from 'saxes';
import { Dialect, DIALECTS } from './dialects';
import { FeedItem, OpenFeed } from './feed';
import { Child, ItemSource, prefixOf, readItem } from './item-source';
import { namespaceOf } from './namespaces';
import { element, escapeXml, startTag } from './xml-text';

/** What of an item is another in the merged feed. */
export interface Replacements {
  title: string;
  guid: string;
  /** In place of the enclosure's URL; undefined leaves it as it is. */
  enclosure: string | undefined;
}

/** An item of RSS 2.0, but for the declarations of its prefixes. */
export interface MergedItem {
  attributes: Record<string, string>;
  content: string;
  /** What each prefix that it uses stands for. */
  namespaces: ReadonlyMap<string, string>;
}

/** Longest source of an item that is kept, in characters; show notes take some 50,000. */
export const MERGED_ITEM_MAX_LENGTH = 262_144;

/** Elements of an item that are of RSS 2.0 itself, which has no namespace. */
const CORE = [
  'title',
  'link',
  'description',
  'author',
  'category',
  'comments',
  'enclosure',
  'guid',
  'pubDate',
  'source',
];

/**
 * An item of any feed as one of RSS 2.0. What was RSS 2.0 keeps its source, but for what is replaced; of Atom and RSS 1.0 the elements of
 * other namespaces do, and the rest is converted. What cannot be read with namespaces is left with what RSS itself has, and what is longer
 * than MERGED_ITEM_MAX_LENGTH with what it takes to play it.
 */
export function mergedItem(open: OpenFeed, item: FeedItem, replacements: Replacements): MergedItem {
  if (item.end - item.start > MERGED_ITEM_MAX_LENGTH) return brief(item, replacements);
  let source: ItemSource;
  try {
    source = readItem(open.text.slice(item.start, item.end));
  } catch {
    // XML 1.1 has line ends that 1.0 does not know, also within tags.
    return brief(item, replacements);
  }
  const writer = new ItemWriter(open, item, source, replacements);
  const merged = open.root === 'rss' ? writer.inPlace() : writer.converted(true);
  return isReadable(merged) ? merged : writer.converted(false);
}

const titleAndGuid = ({ title, guid }: Replacements): string[] => [
  element('title', title),
  element('guid', guid, { isPermaLink: 'false' }),
];

const dateOf = ({ publishedAt }: FeedItem): string =>
  publishedAt === null ? '' : element('pubDate', new Date(publishedAt).toUTCString());

function brief(item: FeedItem, replacements: Replacements): MergedItem {
  const { enclosure: url } = replacements;
  const content = [...titleAndGuid(replacements), dateOf(item), url ? element('enclosure', '', { url }) : ''];
  return { attributes: {}, content: content.join(''), namespaces: new Map() };
}

/** Whether a parser that knows namespaces takes it. */
function isReadable({ attributes, content, namespaces }: MergedItem): boolean {
  const parser = new SaxesParser({ xmlns: true, additionalNamespaces: Object.fromEntries(namespaces) });
  let readable = true;
  parser.on('error', () => (readable = false));
  // The parser asks no more of a local name than that it is a name behind the prefix.
  parser.on('opentag', ({ local }) => (readable &&= !/^[-.\d\u00b7]/.test(local)));
  parser.write(`${startTag('item', attributes)}${content}</item>`).close();
  return readable;
}

class ItemWriter {
  private readonly declared: ReadonlyMap<string, string>;
  private readonly dialect: Dialect;
  /** The element that names the item's enclosure. Of what else names one nothing is kept, since RSS has one. */
  private readonly enclosure: Child | undefined;
  /** Where a guid was the item's page, too. */
  private readonly linkOfGuid: string;

  constructor(
    private readonly open: OpenFeed,
    private readonly item: FeedItem,
    private readonly parts: ItemSource,
    private readonly replacements: Replacements,
  ) {
    this.declared = new Map([...item.namespaces, parts.namespaces].flatMap((namespaces) => [...namespaces]));
    this.dialect = DIALECTS.get(localOf(open.root))!;
    this.enclosure = parts.children.find(
      (child) => item.enclosure !== '' && this.enclosureUrl(child) === item.enclosure,
    );
    const guid = parts.children.find((child) => this.ownName(child) === 'guid');
    const isPage = guid && guid.attributes['isPermaLink'] !== 'false' && /^https?:\/\//i.test(item.guid);
    this.linkOfGuid = isPage ? element('link', item.guid) : '';
  }

  /** RSS 2.0: the source, but for what is replaced. Of title, guid and enclosure there is one. */
  inPlace(): MergedItem {
    const { source, children, attributes, innerStart, innerEnd } = this.parts;
    const [title = '', guid = ''] = titleAndGuid(this.replacements);
    const missing = new Map([
      ['title', title],
      ['guid', guid],
      ['link', this.linkOfGuid],
    ]);
    let content = '';
    let copied = innerStart;
    for (const child of children) {
      content += source.slice(copied, child.start);
      copied = child.end;
      if (child.name === 'enclosure') content += this.enclosureFrom(child);
      else if (child.name === 'title' || child.name === 'guid') content += missing.get(child.name) ?? '';
      else content += this.verbatim(child);
      if (child.name !== 'link' || child.text.trim() !== '') missing.delete(child.name);
    }
    content += source.slice(copied, innerEnd);
    const kept = children.filter(({ name }) => !['enclosure', 'title', 'guid'].includes(name));
    const namespaces = this.namespaces([this.parts, ...kept]);
    return { attributes, content: [...missing.values()].join('') + content, namespaces };
  }

  /** The few elements that RSS itself has, and those of other namespaces as they are, if they are wanted. */
  converted(withOthers: boolean): MergedItem {
    const { children } = this.parts;
    const own = (name: string) => children.filter((child) => this.ownName(child) === name);
    const links = own('link').filter(({ attributes }) => (attributes['rel'] ?? 'alternate') === 'alternate');
    const link = links.map(({ text, attributes }) => text.trim() || (attributes['href'] ?? '')).find(Boolean);
    const description = ['description', 'content', 'summary'].flatMap(own)[0];
    const others = withOthers ? children.filter((child) => this.ownName(child) === undefined) : [];
    const content = [
      ...titleAndGuid(this.replacements),
      link ? element('link', link) : this.linkOfGuid,
      dateOf(this.item),
      description ? element('description', this.html(description)) : '',
      this.enclosure ? this.enclosureFrom(this.enclosure) : '',
      ...others.map((child) => this.verbatim(child)),
    ];
    return { attributes: {}, content: content.join(''), namespaces: this.namespaces(others) };
  }

  /** RSS names its enclosure in an element, Atom in a link. */
  private enclosureUrl(child: Child): string | undefined {
    const { url, rel, href } = child.attributes;
    const name = this.ownName(child);
    if (name === 'enclosure') return url?.trim();
    return name === 'link' && rel === 'enclosure' ? href?.trim() : undefined;
  }

  private enclosureFrom(child: Child): string {
    if (child !== this.enclosure) return '';
    const { length, type } = child.attributes;
    return element('enclosure', '', { url: this.replacements.enclosure ?? this.item.enclosure, length, type });
  }

  /** A text as RSS 2.0 has it, which is HTML. Atom says what it has. */
  private html({ attributes: { type }, name, text, innerStart, innerEnd }: Child): string {
    if (localOf(name) === 'description' || type === 'html') return text;
    return type === 'xhtml' ? this.parts.source.slice(innerStart, innerEnd).trim() : escapeXml(text);
  }

  /** A child's name in the feed's own language; undefined when it is of another. */
  private ownName({ name }: Child): string | undefined {
    const prefix = prefixOf(name);
    const isOwn = ['', prefixOf(this.open.root)].includes(prefix);
    return isOwn || this.dialect.namespaces.includes(this.declared.get(prefix) ?? '') ? localOf(name) : undefined;
  }

  /** A child's source. What had the feed's default namespace keeps it, unless it is of RSS. */
  private verbatim({ name, start, end, prefixes }: Child): string {
    const { source } = this.parts;
    const namespace = this.declared.get('');
    if (!namespace || !prefixes.has('') || CORE.includes(name)) return source.slice(start, end);
    const behindName = start + 1 + name.length;
    return `${source.slice(start, behindName)} xmlns="${escapeXml(namespace)}"${source.slice(behindName, end)}`;
  }

  private namespaces(written: readonly Pick<Child, 'prefixes'>[]): ReadonlyMap<string, string> {
    const prefixes = new Set(written.flatMap((part) => [...part.prefixes]));
    const used = [...prefixes].filter((prefix) => !['', 'xml', 'xmlns'].includes(prefix));
    return new Map(used.map((prefix) => [prefix, namespaceOf(prefix, this.declared.get(prefix))]));
  }
}

const localOf = (name: string): string => name.slice(name.indexOf(':') + 1);
