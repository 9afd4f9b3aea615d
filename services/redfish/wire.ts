// Requests of one BMC as they go out and come back: with the headers that say who asks, again when the BMC is busy or has dropped the
// session, followed to the end of a task, and every refusal made a RedfishError. client.ts is what callers use.
import { RedfishError, type RedfishErrorCode } from './errors.ts';
import { etagOf } from './etag.ts';
import { type Http, type HttpAnswer, isReset } from './http.ts';
import type { Login, LoginPort } from './login.ts';
import { hasKey, isBusy, type Message, messagesOf, saidIn } from './message.ts';
import { linkOf, none, type Resource, text } from './resource.ts';
import { lookAtTask, monitorOf, retryAfterMs } from './task.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly json: Resource;
  readonly etag: string | null;
}

/** One call of a client: its time, and how often it asked. */
export interface One {
  readonly signal: AbortSignal;
  readonly step: string | undefined;
  /** Texts of the BMC are not passed on. */
  readonly mute: boolean;
  attempts: number;
  timedOut(): boolean;
  leftMs(): number;
  wait(ms: number): Promise<void>;
}

export const standardDeadline = 30_000;
const mostTries = 5;
const firstPause = 500;
const mostPause = 15_000;

/** Statuses at which nothing was done and the same request may be right soon (RFC 9110). 500 is asked again of GET alone. */
const passing = new Set([429, 503]);
const passingReads = new Set([500, 502, 504]);

export interface WireOptions {
  readonly http: Http;
  readonly login: Login;
  readonly username: string;
  /** Aborted when the client is closed. */
  readonly closing: AbortSignal;
}

export class Wire {
  /** For requests of the log-in itself. */
  readonly port: LoginPort;
  readonly #http: Http;
  readonly #login: Login;
  readonly #username: string;
  readonly #closing: AbortSignal;
  #root: Promise<Resource | null> | null = null;

  constructor(options: WireOptions) {
    this.#http = options.http;
    this.#login = options.login;
    this.#username = options.username;
    this.#closing = options.closing;
    this.port = {
      send: (method, path, headers, body) => this.plain(method, path, headers, body),
      root: () => this.strangersRoot(),
    };
  }

  asRoot(json: Resource): Resource {
    if (text(json.RedfishVersion) === null && !/ServiceRoot/.test(String(json['@odata.type'])) && !linkOf(json.Systems))
      throw new RedfishError('not-redfish', 'what it gives at /redfish/v1/ is no service root');
    return json;
  }

  strangersRoot(): Promise<Resource | null> {
    this.#root ??= (async () => {
      let answer = await this.plain('GET', '/redfish/v1/', {});
      if (answer.status >= 500) answer = await this.plain('GET', '/redfish/v1', {});
      if (answer.status === 401 || answer.status === 403) return null;
      if (passing.has(answer.status)) throw new RedfishError('busy', `it answers with status ${answer.status}`);
      if (answer.status !== 200 || answer.json === null)
        throw new RedfishError(
          'not-redfish',
          `it answers /redfish/v1/ with status ${answer.status}${answer.json === null ? ' and no JSON' : ''}`,
        );
      return this.asRoot(answer.json);
    })().catch((error) => {
      this.#root = null;
      throw error;
    });
    return this.#root;
  }

  async plain(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: Resource,
    signal: AbortSignal = AbortSignal.any([AbortSignal.timeout(standardDeadline), this.#closing]),
  ): Promise<HttpAnswer & { json: Resource | null }> {
    const answer = await this.#send(method, path, headers, body, signal, false);
    return { ...answer, json: jsonOf(answer.body) };
  }

  /** One request, and where its redirect leads: some answer `/redfish/v1` with the same and a slash, or the other way round. */
  async #send(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Resource | undefined,
    signal: AbortSignal,
    fresh: boolean,
  ): Promise<HttpAnswer> {
    // Identity: some BMCs give weak ETags to whoever would take a compressed body, and then refuse them.
    const common = { accept: 'application/json', 'accept-encoding': 'identity', 'odata-version': '4.0', ...headers };
    const content: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const ask = {
      method,
      path,
      signal,
      fresh,
      headers: { ...common, ...content },
      ...(body && { body: JSON.stringify(body) }),
    };
    let answer = await this.#http.ask(ask);
    if ([301, 302, 307, 308].includes(answer.status)) {
      const to = linkOf(answer.headers.location);
      if (to && to !== path) answer = await this.#http.ask({ ...ask, path: to });
    }
    if (answer.status === 406)
      answer = await this.#http.ask({ ...ask, headers: { ...ask.headers, 'accept-encoding': 'gzip' } });
    return answer;
  }

  /** A request until it is answered for good. Statuses in `given` come back to the caller. @throws RedfishError */
  async attempt(
    one: One,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: Resource,
    headers: Readonly<Record<string, string>> = {},
    given: readonly number[] = [],
  ): Promise<HttpAnswer> {
    let loggedIn = false;
    let reset = false;
    for (let tries = 1; ; tries++) {
      one.attempts += 1;
      const who = await raced(this.#login.headers(this.port), one.signal);
      let answer: HttpAnswer;
      try {
        answer = await this.#send(method, path, { ...headers, ...who }, body, one.signal, method === 'POST');
      } catch (error) {
        // A kept connection that the BMC had closed already: once more, but for what must not run twice.
        if (isReset(error) && method !== 'POST' && !reset) {
          reset = true;
          continue;
        }
        if (method === 'POST' && (isReset(error) || one.timedOut()))
          throw new RedfishError('uncertain', 'the command was sent and got no answer');
        throw error;
      }
      const { status } = answer;
      if (status < 400) {
        // Truncated by a BMC that ran out of memory: read again.
        if (method === 'GET' && jsonOf(answer.body) === null) {
          if (tries < 3) continue;
          throw new RedfishError('bad-response', answer.body === '' ? 'the answer is empty' : 'the answer is no JSON');
        }
        return answer;
      }
      if (given.includes(status)) return answer;
      const messages = messagesOf(jsonOf(answer.body));
      if (status === 401 && !loggedIn && this.#login.dropped(who)) {
        loggedIn = true;
        continue;
      }
      const again = passing.has(status) || isBusy(messages) || (method === 'GET' && passingReads.has(status));
      if (!again) throw this.failure(answer, one);
      if (tries >= mostTries)
        throw this.failure(answer, one, passing.has(status) || isBusy(messages) ? 'busy' : 'refused');
      const pause = retryAfterMs(answer.headers) ?? firstPause * 2 ** (tries - 1);
      if (one.leftMs() < pause) throw this.failure(answer, one, 'busy');
      await one.wait(Math.min(pause, mostPause));
    }
  }

  /** Follows a 202 to its end. */
  async settle(answer: HttpAnswer, one: One): Promise<Answer> {
    if (answer.status !== 202) return this.answer(answer);
    const monitor = monitorOf(answer.headers, jsonOf(answer.body) ?? none);
    if (monitor === null) return this.answer(answer);
    let pause = retryAfterMs(answer.headers) ?? firstPause;
    for (let first = true; ; first = false) {
      await one.wait(Math.min(Math.max(pause, 100), mostPause));
      const now = await this.attempt(one, 'GET', monitor, undefined, {}, [400, 403, 404, 405, 409, 410, 500]).catch(
        (error) => {
          // A monitor of a finished task may answer with nothing at all.
          if (error instanceof RedfishError && error.code === 'bad-response') return null;
          throw error;
        },
      );
      if (now === null) return this.answer(answer);
      const look = lookAtTask(now, jsonOf(now.body) ?? none, first);
      if (look.state === 'done' || look.state === 'scheduled') return this.answer(answer);
      if (look.state === 'failed')
        throw new RedfishError('task-failed', `the BMC took it as a task, which failed: ${this.clean(look.said)}`, {
          messageIds: look.messages.map(({ id }) => id),
        });
      pause = look.waitMs ?? Math.min(pause * 2, 5_000);
    }
  }

  answer(answer: HttpAnswer): Answer {
    const json = jsonOf(answer.body) ?? none;
    return { status: answer.status, headers: answer.headers, json, etag: etagOf(answer.headers, json) };
  }

  failure(answer: HttpAnswer, one: One, wanted?: RedfishErrorCode): RedfishError {
    const messages = messagesOf(jsonOf(answer.body) ?? plainText(answer.body));
    const { status } = answer;
    const said = one.mute ? '' : saidIn(messages);
    const code = wanted ?? codeOf(status, messages);
    const fault =
      code === 'credentials'
        ? `the BMC refuses the user ${this.#username || '(empty)'}`
        : said === ''
          ? `the BMC answers with status ${status}`
          : said;
    return new RedfishError(code, fault, {
      status,
      messageIds: messages.map(({ id }) => id),
      ...(one.step && { step: one.step }),
    });
  }

  /** A text without what must not be seen: our password and token, and what URLs carry of others' (user, signature). */
  clean(said: string): string {
    let clean = said.replace(/(\w:\/\/)[^/\s@]*@/g, '$1******@').replace(/(\w:\/\/[^\s?'"]+)\?[^\s'"]+/g, '$1?…');
    for (const secret of this.#login.secrets()) clean = clean.replaceAll(secret, '******');
    return clean;
  }
}

/** The promise, or the signal's reason when that comes first: what is shared by many callers is not stopped by one of them. */
export function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** An answer in words alone, as small servers give them; pages are none. */
const plainText = (body: string): Resource => (body.length <= 300 && !/[<{]/.test(body) ? { message: body } : none);

function codeOf(status: number, messages: readonly Message[]): RedfishErrorCode {
  if (hasKey(messages, 'PasswordChangeRequired')) return 'password-expired';
  if (status === 401) return 'credentials';
  if (status === 403) return 'privilege';
  if (status === 412 || status === 428) return 'precondition';
  if (status === 404 || status === 405 || status === 501) return 'not-supported';
  return 'refused';
}

export function jsonOf(body: string): Resource | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Resource) : null;
  } catch {
    return null;
  }
}
