/** The Query API's documents, as Heat's serializer writes them: lists are `member`s, nothing has attributes. */
export const xml = (text: string): string =>
  text
    .replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c] as string)
    // XML 1.0 has no way to say these at all.
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');

/** Elements in order; a nested list is an element with children. */
export type Element = readonly [name: string, content: string | readonly Element[]];

export const write = ([name, content]: Element): string =>
  `<${name}>${typeof content === 'string' ? xml(content) : content.map(write).join('')}</${name}>`;

export const members = (name: string, all: readonly (readonly Element[])[]): Element => [
  name,
  all.map((one): Element => ['member', one]),
];
