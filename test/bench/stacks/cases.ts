/** What is measured on both sides, by the same templates. */
import { type Template, template } from './client.ts';

export const none = { type: 'OS::Heat::None' };
export const random = { type: 'OS::Heat::RandomString', properties: { length: 8 } };

const number = (at: number): string => String(at).padStart(5, '0');

export const flat = (count: number, of: object = none): Template =>
  template(Object.fromEntries(Array.from({ length: count }, (_, at) => [`r${number(at)}`, of as Template])));

export const chain = (count: number): Template =>
  template(
    Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        `r${number(at)}`,
        at === 0 ? none : { ...none, depends_on: `r${number(at - 1)}` },
      ]),
    ),
  );

/** Each second one needs the one before it. */
export const pairs = (count: number): Template =>
  template(
    Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        [`a${number(at)}`, none],
        [`b${number(at)}`, { ...none, depends_on: `a${number(at)}` }],
      ]).flat() as [string, Template][],
    ),
  );

export const group = (count: number): Template =>
  template({ g: { type: 'OS::Heat::ResourceGroup', properties: { count, resource_def: none } } });

export function nested(depth: number): { outer: Template; files: Record<string, string> } {
  const files: Record<string, string> = {};
  for (let at = 1; at <= depth; at += 1)
    files[`l${at}.yaml`] = JSON.stringify(template({ n: at < depth ? { type: `l${at + 1}.yaml` } : random }));
  return { outer: template({ n: { type: 'l1.yaml' } }), files };
}
