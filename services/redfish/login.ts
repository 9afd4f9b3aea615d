// How requests say who asks: a session where the BMC has them, else Basic on every request. Sessions are few (iDRAC has 8, some
// BMCs 4) and outlive a process that forgets them, so there is one for each BMC, made by the first request that needs it, made anew
// when the BMC has dropped it, and deleted at the end.
import { RedfishError } from './errors.ts';
import { hasKey, messagesOf } from './message.ts';
import { at, linkOf, pathOf, type Resource } from './resource.ts';
import type { HttpHead } from './task.ts';

export type AuthType = 'auto' | 'session' | 'basic' | 'none';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface LoginPort {
  /** One request without credentials of ours; never throws for a status. */
  send(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: Resource,
  ): Promise<HttpHead & { readonly json: Resource | null }>;
  /** The service root, read without credentials; null where it is not given to strangers. */
  root(): Promise<Resource | null>;
}

interface Session {
  readonly token: string;
  /** Null where the BMC did not say: it cannot be deleted then, and ends by its own time. */
  readonly path: string | null;
}

/** Statuses of a POST to Sessions that mean "there are none": the service is missing, switched off or full. */
const noSessions = new Set([404, 405, 501, 503]);
const fullKeys = ['SessionLimitExceeded', 'CreateLimitReachedForResource', 'RAC0218'];

export class Login {
  readonly #type: AuthType;
  #credentials: Credentials;
  #session: Promise<Session | 'basic'> | null = null;
  /** Sessions made in this object's life: tests and report cards read it. */
  made = 0;

  constructor(type: AuthType, credentials: Credentials) {
    this.#type = type;
    this.#credentials = credentials;
  }

  use(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  /** What to look for in texts of the BMC before anybody sees them. */
  secrets(): string[] {
    const { password } = this.#credentials;
    const known = [password, this.#basic().slice('Basic '.length), this.#last ?? ''];
    return known.filter((secret) => secret.length >= 4);
  }

  #basic(): string {
    const { username, password } = this.#credentials;
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  /** Headers of the next request. @throws RedfishError credentials, password-expired, and those of the transport */
  async headers(port: LoginPort): Promise<Record<string, string>> {
    if (this.#type === 'none') return {};
    if (this.#type === 'basic') return { authorization: this.#basic() };
    this.#session ??= this.#open(port).catch((error) => {
      this.#session = null;
      throw error;
    });
    const session = await this.#session;
    return session === 'basic' ? { authorization: this.#basic() } : { 'x-auth-token': session.token };
  }

  /** After a 401: whether it is worth asking again. Many requests may have met the same dropped session: one new one is made. */
  dropped(used: Readonly<Record<string, string>>): boolean {
    const token = used['x-auth-token'];
    if (token === undefined) return false;
    const held = this.#session;
    if (held === null) return true;
    const mine = this.#last === token;
    if (mine) {
      this.#session = null;
      this.#last = null;
    }
    return true;
  }

  /** The token of the session that is held now. */
  #last: string | null = null;

  async #open(port: LoginPort): Promise<Session | 'basic'> {
    const root = await port.root();
    const sessions = root === null ? '/redfish/v1/SessionService/Sessions' : await this.#sessionsOf(port, root);
    if (sessions === null) {
      if (this.#type === 'auto') return 'basic';
      throw new RedfishError('not-supported', 'the BMC has no sessions; set redfish_auth_type to auto or basic');
    }
    const { username, password } = this.#credentials;
    const answer = await port.send('POST', sessions, {}, { UserName: username, Password: password });
    const messages = messagesOf(answer.json);
    const token = answer.headers['x-auth-token'];
    if (answer.status >= 200 && answer.status < 300 && token) {
      this.made += 1;
      this.#last = token;
      // The path is the deletion's only handle; one BMC leaves out Location and has it in the body alone.
      return { token, path: pathOf(answer.headers.location) ?? pathOf(answer.json?.['@odata.id']) };
    }
    if (hasKey(messages, 'PasswordChangeRequired'))
      throw new RedfishError(
        'password-expired',
        `the BMC wants the user ${username || '(empty)'} to change the password`,
        {
          status: answer.status,
        },
      );
    const full = hasKey(messages, ...fullKeys);
    if (this.#type === 'auto' && (noSessions.has(answer.status) || full || answer.status < 300)) return 'basic';
    if (full || answer.status === 503)
      throw new RedfishError('busy', 'the BMC has no free session', { status: answer.status });
    // What the BMC says here is not repeated: it may hold what was sent.
    if ([400, 401, 403].includes(answer.status))
      throw new RedfishError('credentials', `the BMC refuses the user ${username || '(empty)'}`, {
        status: answer.status,
        messageIds: messages.map(({ id }) => id),
      });
    throw new RedfishError('refused', `the BMC makes no session (status ${answer.status})`, {
      status: answer.status,
      messageIds: messages.map(({ id }) => id),
    });
  }

  async #sessionsOf(port: LoginPort, root: Resource): Promise<string | null> {
    const direct = linkOf(at(root, 'Links', 'Sessions'));
    if (direct) return direct;
    const service = linkOf(root.SessionService);
    if (service === null) return null;
    // Most give the service to strangers; where they do not, the collection is where everybody has it.
    const answer = await port.send('GET', service, {});
    return linkOf(at(answer.json, 'Sessions')) ?? `${service.replace(/\/+$/, '')}/Sessions`;
  }

  /** Deletes the session on the BMC. Never throws: a BMC that is gone drops it by itself. */
  async close(port: LoginPort): Promise<void> {
    const held = this.#session;
    this.#session = null;
    this.#last = null;
    const session = await held?.catch(() => null);
    if (!session || session === 'basic' || session.path === null) return;
    await port.send('DELETE', session.path, { 'x-auth-token': session.token }).catch(() => {});
  }
}
