// One Redfish service over HTTP: who asks, again when the BMC is busy or has dropped the session, with the right ETag, and until a
// task is done. What the resources mean is in the files beside it; nothing here knows a schema but the error's and the task's.

import { RedfishError, type RedfishErrorCode } from './errors.ts';
import { cleanEtag, ifMatchForms } from './etag.ts';
import { createHttp, type Http } from './http.ts';
import { type AuthType, type Credentials, Login, type LoginPort } from './login.ts';
import { linkOf, list, none, object, type Resource, text } from './resource.ts';
import { type Answer, type One, raced, standardDeadline, Wire } from './wire.ts';

export type { Answer } from './wire.ts';

export interface Exchange {
  /** `host:port`. */
  readonly bmc: string;
  /** `GET /redfish/v1/Systems/1`. */
  readonly command: string;
  /** Requests sent for it; 1 is the healthy number. */
  readonly attempts: number;
  readonly ms: number;
  readonly error?: RedfishError;
}

export interface ClientOptions {
  /** `https://host[:port]`; without a scheme it is https. `http://` only where told so. */
  readonly address: string;
  readonly username: string;
  readonly password: string;
  /** `auto` (default): a session, and Basic where the BMC has none. */
  readonly auth?: AuthType;
  /** True (default): the system's CAs; a PEM text: that CA alone; false: any certificate. */
  readonly verify?: boolean | string;
  readonly mostBytes?: number;
  /** Waits; tests put their own. Milliseconds. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds now, for figures only. */
  readonly now?: () => number;
  readonly onExchange?: (exchange: Exchange) => void;
}

export interface AskOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole call, everything that is done again included. Default 30,000. */
  readonly deadline?: number;
  /** What is being done, for sentences. */
  readonly step?: string;
  /** What goes out is secret: of a refusal only the status and the MessageIds are told, as texts repeat what was sent. */
  readonly mute?: boolean;
}

const mostMembers = 1_000;
const membersAtOnce = 4;

async function waitMs(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

export function originOf(address: string): URL {
  let url: URL;
  try {
    // A bare IPv6 address has colons that are no port's.
    const bare = /^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address) ? `[${address}]` : address;
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(bare) ? bare : `https://${bare}`);
  } catch {
    throw new RedfishError('bad-argument', 'the address is no URL');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new RedfishError('bad-argument', `the address begins with ${url.protocol}//, not with https://`);
  if (url.username !== '' || url.password !== '')
    throw new RedfishError('bad-argument', 'the address holds a user name or password');
  return url;
}

export class RedfishClient {
  readonly bmc: string;
  readonly #http: Http;
  readonly #login: Login;
  readonly #options: ClientOptions;
  readonly #closing = new AbortController();
  readonly #wire: Wire;

  /** @throws RedfishError bad-argument */
  constructor(options: ClientOptions) {
    const origin = originOf(options.address);
    this.bmc = `${origin.hostname}:${origin.port || (origin.protocol === 'https:' ? 443 : 80)}`;
    this.#options = options;
    this.#http = createHttp({
      origin,
      verify: options.verify ?? true,
      ...(options.mostBytes !== undefined && { mostBytes: options.mostBytes }),
    });
    const anonymous = options.username === '' && options.password === '';
    this.#login = new Login(anonymous ? 'none' : (options.auth ?? 'auto'), options);
    const { username } = options;
    this.#wire = new Wire({ http: this.#http, login: this.#login, username, closing: this.#closing.signal });
  }

  get sessionsMade(): number {
    return this.#login.made;
  }

  get(path: string, options: AskOptions = {}): Promise<Answer> {
    return this.#within(`GET ${path}`, options, (one) => this.#read(path, one));
  }

  /** A POST whose request must not run twice. */
  post(path: string, body: Resource, options: AskOptions = {}): Promise<Answer> {
    return this.#within(`POST ${path}`, options, async (one) =>
      this.#wire.settle(await this.#wire.attempt(one, 'POST', path, body), one),
    );
  }

  delete(path: string, options: AskOptions = {}): Promise<Answer> {
    return this.#within(`DELETE ${path}`, options, async (one) =>
      this.#wire.settle(await this.#wire.attempt(one, 'DELETE', path), one),
    );
  }

  /**
   * PATCH with the resource's ETag: the one given, else of a fresh GET. A 412 means that it changed meanwhile, or that this BMC wants
   * another form of it: each form is tried with a fresh tag. `settle: false` does not wait for a task.
   */
  patch(
    path: string,
    body: Resource,
    options: AskOptions & { readonly etag?: string | null; readonly settle?: boolean } = {},
  ): Promise<Answer> {
    return this.#within(`PATCH ${path}`, options, async (one) => {
      let tag = options.etag === undefined ? (await this.#read(path, one)).etag : cleanEtag(options.etag);
      let required = false;
      let refused: RedfishError | null = null;
      const tried = new Set<string>();
      for (let round = 0; round < 8; round++) {
        const form = ifMatchForms(tag, required).find((form) => !tried.has(`${tag} ${form}`));
        if (form === undefined) break;
        tried.add(`${tag} ${form}`);
        const answer = await this.#wire.attempt(
          one,
          'PATCH',
          path,
          body,
          form === null ? {} : { 'if-match': form },
          [412, 428],
        );
        if (answer.status !== 412 && answer.status !== 428)
          return options.settle === false ? this.#wire.answer(answer) : this.#wire.settle(answer, one);
        required ||= answer.status === 428;
        refused = this.#wire.failure(answer, one, 'precondition');
        const fresh = (await this.#read(path, one)).etag;
        // Another tag is the common case: somebody (the BMC itself, most often) touched the resource.
        if (fresh !== tag) tag = fresh;
      }
      throw refused ?? new RedfishError('precondition', 'the BMC refuses the resource’s ETag');
    });
  }

  /** Resources of a collection. What is expanded costs nothing more; others are read, a few at a time. Broken members are left out. */
  members(path: string, options: AskOptions & { readonly most?: number } = {}): Promise<Resource[]> {
    return this.#within(`GET ${path}`, options, async (one) => {
      const most = Math.min(options.most ?? mostMembers, mostMembers);
      const found: (Resource | string)[] = [];
      const seen = new Set<string>();
      for (let page: string | null = path; page !== null && !seen.has(page) && found.length < most; ) {
        seen.add(page);
        const { json }: Answer = await this.#read(page, one);
        for (const member of list(json.Members)) {
          const whole = object(member);
          const link = linkOf(member);
          // A link has one property, or two with the etag of some; a whole resource has an Id.
          if (text(whole.Id) !== null) found.push(whole);
          else if (link) found.push(link);
        }
        page = linkOf(json['Members@odata.nextLink']) ?? linkOf(json['@odata.nextLink']);
      }
      found.length = Math.min(found.length, most);
      let next = 0;
      const worker = async () => {
        while (next < found.length) {
          const place = next++;
          const member = found[place];
          if (typeof member !== 'string') continue;
          found[place] = await this.#read(member, one).then(
            ({ json }) => json,
            (error) => {
              if (error instanceof RedfishError && !lost.has(error.code)) return none;
              throw error;
            },
          );
        }
      };
      await Promise.all(Array.from({ length: membersAtOnce }, worker));
      return found.filter((member): member is Resource => typeof member !== 'string' && member !== none);
    });
  }

  /** Server-sent events of this path, as text; ends with the BMC, the signal, or `close`. */
  async *stream(
    path: string,
    options: { readonly signal?: AbortSignal; readonly step?: string },
  ): AsyncGenerator<string> {
    const signal = AbortSignal.any([this.#closing.signal, ...(options.signal ? [options.signal] : [])]);
    for (let again = false; ; again = true) {
      const who = await this.#login.headers(this.#wire.port);
      const headers = { ...who, accept: 'text/event-stream', 'odata-version': '4.0' };
      const { head, body } = await this.#http.stream({ method: 'GET', path, headers, signal });
      if (head.status === 401 && !again && this.#login.dropped(who)) {
        body.destroy();
        continue;
      }
      if (head.status !== 200) {
        body.destroy();
        throw new RedfishError('refused', `the BMC gives no event stream (status ${head.status})`, {
          bmc: this.bmc,
          status: head.status,
        });
      }
      body.setEncoding('utf8');
      for await (const chunk of body as AsyncIterable<string>) yield chunk;
      return;
    }
  }

  /** What strangers may read first. @throws RedfishError not-redfish */
  async root(options: AskOptions = {}): Promise<Resource> {
    return this.#within('GET /redfish/v1/', { step: 'read the service root', ...options }, async (one) => {
      const known = await raced(this.#wire.strangersRoot(), one.signal);
      return known ?? this.#wire.asRoot((await this.#read('/redfish/v1/', one)).json);
    });
  }

  /** The password was changed: the next log-in uses it. */
  useCredentials(credentials: Credentials): void {
    this.#login.use(credentials);
  }

  /** Deletes the session; what is under way ends with `closed`. */
  async close(options: { readonly deadline?: number } = {}): Promise<void> {
    const deadline = AbortSignal.timeout(options.deadline ?? 2_000);
    const port: LoginPort = {
      ...this.#wire.port,
      send: (method, path, headers, body) => this.#wire.plain(method, path, headers, body, deadline),
    };
    this.#closing.abort(new RedfishError('closed', 'it was closed', { bmc: this.bmc }));
    await this.#login.close(port);
    this.#http.close();
  }

  async #read(path: string, one: One): Promise<Answer> {
    return this.#wire.answer(await this.#wire.attempt(one, 'GET', path));
  }

  /** Runs one call within its deadline, tells of it, and makes every failure a sentence that names BMC and step. */
  async #within<T>(command: string, options: AskOptions, work: (one: One) => Promise<T>): Promise<T> {
    const now = this.#options.now ?? (() => performance.now());
    const began = now();
    const deadline = options.deadline ?? standardDeadline;
    const timer = AbortSignal.timeout(deadline);
    const signals = [timer, this.#closing.signal, ...(options.signal ? [options.signal] : [])];
    const signal = AbortSignal.any(signals);
    const one: One = {
      signal,
      step: options.step,
      mute: options.mute ?? false,
      attempts: 0,
      timedOut: () => timer.aborted,
      leftMs: () => began + deadline - now(),
      wait: (ms) => (this.#options.wait ?? waitMs)(ms, signal),
    };
    const tell = (error?: RedfishError) =>
      this.#options.onExchange?.({
        bmc: this.bmc,
        command,
        attempts: Math.max(1, one.attempts),
        ms: now() - began,
        ...(error && { error }),
      });
    try {
      const done = await work(one);
      tell();
      return done;
    } catch (error) {
      const failure = await this.#named(error, one, options);
      tell(failure);
      throw failure;
    }
  }

  async #named(error: unknown, one: One, options: AskOptions): Promise<RedfishError> {
    const facts = { bmc: this.bmc, ...(one.step && { step: one.step }) };
    const { closing, own } = { closing: this.#closing.signal.aborted, own: options.signal?.aborted };
    if (!(error instanceof RedfishError) || error.code === 'closed') {
      if (own) return new RedfishError('aborted', 'the caller gave it up', facts);
      if (closing) return new RedfishError('closed', 'it was closed', facts);
      if (one.timedOut()) return new RedfishError('timeout', 'no answer within the deadline', facts);
      return new RedfishError('network', error instanceof Error ? this.#wire.clean(error.message) : 'unknown', facts);
    }
    return new RedfishError(error.code, this.#wire.clean(error.fault), {
      ...facts,
      ...(error.status !== undefined && { status: error.status }),
      messageIds: error.messageIds,
      known: error.known,
    });
  }
}

/** What a member cannot be left out for: the rest will not be there either. */
const lost = new Set<RedfishErrorCode>([
  'timeout',
  'network',
  'aborted',
  'closed',
  'certificate',
  'credentials',
  'unresolved',
]);
