import { Call, type MaybeScope, resolve } from '../calls.ts';
import { Fault } from '../faults.ts';
import { repr, text } from '../render.ts';
import { isInteger, type Key, truthy, typeName, type Value } from '../values.ts';
import { toInteger, typeError, valueError } from './arguments.ts';

const KEYS = ['scheme', 'username', 'password', 'host', 'port', 'path', 'query', 'fragment'] as const;

/** Python's urllib.parse.quote: letters, digits, "_.-~" and `safe` stay. */
export function quote(value: Value | undefined, safe = '/'): string {
  if (typeof value !== 'string') throw typeError('quote_from_bytes() expected bytes');
  let out = '';
  for (const byte of Buffer.from(value, 'utf8')) {
    const c = String.fromCharCode(byte);
    out += /[A-Za-z0-9_.~-]/.test(c) || safe.includes(c) ? c : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

function quotePlus(value: string): string {
  return quote(value, ' ').replaceAll(' ', '+');
}

/** make_url: a URL from its parts, each escaped as its place asks. */
export class MakeUrl extends Call {
  override validate(scope: MaybeScope): void {
    super.validate(scope);
    if (!(this.args instanceof Map)) throw typeError(`The arguments to "${this.name}" must be a map`);
    const unknown = [...this.args.keys()].filter((key) => !(KEYS as readonly Key[]).includes(key));
    if (unknown.length > 0) throw valueError(`Invalid arguments to "${this.name}": ${unknown.join(', ')}`);
    this.check(this.args);
  }

  private check(args: Map<Key, unknown>): void {
    for (const key of KEYS) {
      if (!args.has(key)) continue;
      const value = args.get(key);
      if (key === 'query') {
        if (!(value instanceof Map) && !(value instanceof Call)) {
          throw typeError(`The "query" argument to "${this.name}" must be a map`);
        }
        // Heat stops here: the fragment is checked only where there is no query.
        return;
      }
      if (value instanceof Call) continue;
      if (key === 'port') {
        this.checkPort(value as Value, args);
      } else if (typeof value !== 'string') {
        throw typeError(`The "${key}" argument to "${this.name}" must be a string`);
      }
    }
  }

  private checkPort(value: Value, args: Map<Key, unknown>): void {
    let port: number | bigint | boolean;
    if (isInteger(value)) port = value;
    else {
      try {
        port = toInteger(value);
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
        throw valueError(`Invalid URL port "${text(value)}" for ${this.name} called with ${repr(args)}`);
      }
    }
    if (!(Number(port) > 0 && Number(port) <= 65535)) {
      throw valueError(`Invalid URL port ${String(Number(port))}, must be in range 1-65535`);
    }
  }

  result(scope: MaybeScope): Value {
    const args = resolve(this.args, scope);
    if (typeof args === 'string' || Array.isArray(args)) {
      throw new Fault('AttributeError', `'${typeName(args)}' object has no attribute 'get'`);
    }
    if (!(args instanceof Map)) throw typeError(`argument of type '${typeName(args)}' is not iterable`);
    this.check(args);
    const scheme = (args.get('scheme') ?? '') as string;
    if (scheme.includes(':')) throw valueError(`URL "scheme" should not contain ':'`);
    const path = quote(args.get('path') ?? '');
    const query = this.query(args.get('query') ?? new Map());
    return join(scheme, this.netloc(args), path, query, quote(args.get('fragment') ?? ''));
  }

  private netloc(args: Map<Key, Value>): string {
    let out = '';
    const username = quote(args.get('username') ?? '', '');
    const password = quote(args.get('password') ?? '', '');
    if (username || password) out += `${username}${password ? `:${password}` : ''}@`;
    let host = (args.get('host') ?? '') as string;
    if (host.startsWith('[') && host.endsWith(']')) host = host.slice(1, -1);
    host = quote(host, ':');
    out += host.includes(':') ? `[${host}]` : host;
    const port = args.get('port');
    return truthy(port) ? `${out}:${text(port)}` : out;
  }

  private query(value: Value): string {
    if (!(value instanceof Map)) return '';
    return [...value]
      .map(([key, item]) => `${quotePlus(text(key))}=${quotePlus(text(item))}`)
      .join('&')
      .replaceAll('%2F', '/');
  }
}

// Schemes that Python's urlunsplit gives an authority even where it is empty.
const WITH_NETLOC = new Set(
  '|ftp|http|gopher|nntp|telnet|imap|wais|file|mms|https|shttp|snews|prospero|rtsp|rtspu|rsync|svn|svn+ssh|sftp|nfs|git|git+ssh|ws|wss'.split(
    '|',
  ),
);

/** Python's urllib.parse.urlunsplit. */
function join(scheme: string, netloc: string, path: string, query: string, fragment: string): string {
  let url = path;
  if (netloc || (scheme && WITH_NETLOC.has(scheme) && !url.startsWith('//'))) {
    if (url && !url.startsWith('/')) url = `/${url}`;
    url = `//${netloc}${url}`;
  }
  if (scheme) url = `${scheme}:${url}`;
  if (query) url = `${url}?${query}`;
  return fragment ? `${url}#${fragment}` : url;
}
