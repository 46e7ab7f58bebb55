import { spawnSync } from 'node:child_process';
import { SaxesParser } from 'saxes';

/** An element as a parser that knows namespaces has it: `{namespace}local`, the local name alone where there is no namespace. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  /** Its text and that of the elements in it. */
  text: string;
  children: Element[];
}

/** The root of a document, and its comments. @throws Error at the first flaw, also one of its namespaces */
export function readStrictly(xml: string): { root: Element; comments: string[] } {
  const document: Element = { name: '', attributes: {}, text: '', children: [] };
  const open = [document];
  const comments: string[] = [];
  const parser = new SaxesParser({ xmlns: true });
  const text = (piece: string) => (open.at(-1)!.text += piece);
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ uri, local, attributes }) => {
    const named = Object.values(attributes).map((attribute): [string, string] => [
      expanded(attribute.uri, attribute.local),
      attribute.value,
    ]);
    const child = { name: expanded(uri, local), attributes: Object.fromEntries(named), text: '', children: [] };
    open.at(-1)!.children.push(child);
    open.push(child);
  });
  parser.on('text', text);
  parser.on('cdata', text);
  parser.on('comment', (comment) => comments.push(comment));
  parser.on('closetag', () => {
    const closed = open.pop()!;
    open.at(-1)!.text += closed.text;
  });
  parser.write(xml).close();
  return { root: document.children[0]!, comments };
}

const expanded = (namespace: string, local: string): string => (namespace === '' ? local : `{${namespace}}${local}`);

export const childrenNamed = (element: Element, name: string): Element[] =>
  element.children.filter((child) => child.name === name);
export const textOf = (element: Element, name: string): string | undefined => childrenNamed(element, name)[0]?.text;

/** The items of RSS 2.0, found as a strict parser finds them. */
export function itemsOf(xml: string): Element[] {
  const { root } = readStrictly(xml);
  if (root.name !== 'rss') throw new Error(`<${root.name}> is not RSS 2.0`);
  const channels = childrenNamed(root, 'channel');
  if (channels.length !== 1) throw new Error(`${channels.length} channels`);
  return childrenNamed(channels[0]!, 'item');
}

/** What xmllint complains of; undefined where it is not installed. */
export function lint(xml: string): string | undefined {
  const { error, status, stderr } = spawnSync('xmllint', ['--nonet', '--noout', '-'], { input: xml });
  if (error) return undefined;
  return status === 0 && stderr.length === 0 ? '' : stderr.toString() || `status ${status}`;
}
