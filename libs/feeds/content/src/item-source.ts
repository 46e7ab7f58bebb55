import { SaxesParser } from 'saxes';
import { declared } from './feed-reader';
import { Namespaces } from './feed';

/** An element right below an item. */
export interface Child {
  name: string;
  attributes: Record<string, string>;
  /** All of its text, markup left out. */
  text: string;
  /** Where it stands in the item's source, and where what is in it does. */
  start: number;
  end: number;
  innerStart: number;
  innerEnd: number;
  /** Prefixes that it uses and does not declare; empty for the default namespace. */
  prefixes: ReadonlySet<string>;
}

export interface ItemSource {
  source: string;
  /** The item's own attributes, without the namespaces that it declares. */
  attributes: Record<string, string>;
  namespaces: Namespaces;
  /** Prefixes that its own attributes use. */
  prefixes: ReadonlySet<string>;
  /** Where its content is. */
  innerStart: number;
  innerEnd: number;
  children: Child[];
}

/** The source of an item, which is known to be well-formed, taken apart. */
export function readItem(source: string): ItemSource {
  const item: ItemSource = {
    source,
    attributes: {},
    namespaces: new Map(),
    prefixes: new Set(),
    innerStart: 0,
    innerEnd: 0,
    children: [],
  };
  /** What each open element declares, the item left out, whose declarations are as good as those around it. */
  const open: Namespaces[] = [];
  let child: (Child & { prefixes: Set<string> }) | undefined;
  let start = 0;
  const parser = new SaxesParser({ xmlns: false });
  parser.on('opentagstart', ({ name }) => (start = source.lastIndexOf('<', parser.position - name.length - 1)));
  parser.on('opentag', ({ name, attributes }) => {
    const namespaces = declared(attributes);
    if (item.innerStart === 0) {
      const own = Object.entries(attributes).filter(([key]) => !isDeclaration(key));
      Object.assign(item, { attributes: Object.fromEntries(own), namespaces, innerStart: parser.position });
      item.prefixes = new Set(own.map(([key]) => prefixOf(key)).filter((prefix) => prefix !== ''));
      return;
    }
    open.push(namespaces);
    if (open.length === 1)
      child = {
        name,
        attributes,
        text: '',
        start,
        end: 0,
        innerStart: parser.position,
        innerEnd: 0,
        prefixes: new Set(),
      };
    const names = Object.keys(attributes).filter((key) => key.includes(':') && !isDeclaration(key));
    for (const prefix of [name, ...names].map(prefixOf))
      if (!open.some((declares) => declares.has(prefix))) child!.prefixes.add(prefix);
  });
  const text = (piece: string) => child && (child.text += piece);
  parser.on('text', text);
  parser.on('cdata', text);
  parser.on('closetag', ({ isSelfClosing }) => {
    const tagStart = isSelfClosing ? parser.position : source.lastIndexOf('</', parser.position - 1);
    if (open.length === 0) item.innerEnd = tagStart;
    if (open.length === 1) item.children.push({ ...child!, innerEnd: tagStart, end: parser.position });
    if (open.length === 1) child = undefined;
    open.pop();
  });
  parser.write(source).close();
  return item;
}

const isDeclaration = (attribute: string): boolean => attribute === 'xmlns' || attribute.startsWith('xmlns:');
export const prefixOf = (name: string): string => name.slice(0, Math.max(0, name.indexOf(':')));
