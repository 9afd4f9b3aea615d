// ETags and If-Match as BMCs really have them (RFC 9110 section 8.8.3; DSP0266 "ETags"). Pure.
import { object, text } from './resource.ts';

/**
 * The tag in a form that may go into If-Match. Seen: quotes doubled by the web server (`""abc""`), the whole in single quotes,
 * no quotes at all. Null where it is empty or no header could carry it.
 */
export function cleanEtag(given: unknown): string | null {
  let tag = text(given);
  if (tag === null || !/^[\x20-\x7e]{1,256}$/.test(tag)) return null;
  const single = /^'(.*)'$/.exec(tag);
  if (single) tag = single[1] ?? '';
  const doubled = /^(W\/)?""(.*)""$/.exec(tag);
  if (doubled) tag = `${doubled[1] ?? ''}"${doubled[2] ?? ''}"`;
  return tag === '' || tag === '""' || tag === 'W/""' ? null : tag;
}

/** The header first: the property is what was true when the body was made. */
export const etagOf = (headers: Readonly<Record<string, string>>, body: unknown): string | null =>
  cleanEtag(headers.etag) ?? cleanEtag(object(body)['@odata.etag']);

/**
 * What to put into If-Match, in the order of trying; null is no header. If-Match compares strongly (RFC 9110 section 13.1.1), so
 * a strict server refuses every weak tag, while most BMCs want back just what they gave: as given, then without `W/`, then with
 * quotes on or off, then none. `required` (the BMC answered 428) leaves out the last.
 */
export function ifMatchForms(tag: string | null, required = false): (string | null)[] {
  const forms: (string | null)[] = [];
  if (tag !== null) {
    const strong = tag.replace(/^W\//, '');
    const bare = strong.replace(/^"(.*)"$/, '$1');
    forms.push(tag, strong, strong === bare ? `"${bare}"` : bare);
  }
  // `*` is "whatever there is" and valid everywhere that tags are (RFC 9110).
  if (required) forms.push('*');
  else forms.push(null);
  return [...new Set(forms)];
}
