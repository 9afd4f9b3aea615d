// The BMC's half of Redfish: requests in, answers out, over a machine that somebody else moves. No sockets, no clock: whoever serves it
// (services/lab/virtual-redfish.ts) waits where `faults` say so. Written from DSP0266 and the schemas of DSP8010.
import { createHash, randomBytes } from 'node:crypto';
import { base, type MockupAnswer, refusal } from './mockup-errors.ts';
import { type MockupFaults, noFaults } from './mockup-faults.ts';
import type { MockupFlavour } from './mockup-flavour.ts';
import type { MockupAccount, MockupMachine } from './mockup-machine.ts';
import { type Body, mockupTree, pathsOf } from './mockup-tree.ts';
import { patchResource, postAction, type WriteContext } from './mockup-writes.ts';

export interface MockupRequest {
  readonly method: string;
  /** With query. */
  readonly url: string;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export interface Mockup {
  readonly faults: MockupFaults;
  readonly flavour: MockupFlavour;
  /** Requests answered, by method and path without query: tests count. */
  readonly requests: readonly string[];
  readonly sessions: number;
  /** By path; a test may put some there. */
  readonly subscriptions: Map<string, Readonly<Record<string, unknown>>>;
  handle(request: MockupRequest): MockupAnswer;
  /** Whether this GET opens the event stream; `send` is then called with each piece, until the returned function. Null: it does not. */
  stream(request: MockupRequest, send: (text: string) => void): (() => void) | null;
  /** Drops all sessions without a word. */
  expireSessions(): void;
  close(): void;
}

interface Session {
  readonly id: string;
  readonly account: MockupAccount;
}

interface Task {
  looks: number;
  readonly effect: () => void;
}

const sessionsPath = '/redfish/v1/SessionService/Sessions';
const mostBody = 1024 * 1024;

export function createRedfishMockup(options: {
  readonly machine: MockupMachine;
  readonly flavour: MockupFlavour;
  readonly random?: (bytes: number) => Buffer;
  readonly maxSessions?: number;
  /** An event for a subscriber: who serves the mock-up POSTs it. */
  readonly onPush?: (destination: string, event: object) => void;
}): Mockup {
  const { machine, flavour, random = randomBytes, maxSessions = 8 } = options;
  const faults = noFaults();
  const sessions = new Map<string, Session>();
  const tasks = new Map<string, Task>();
  const listeners = new Set<(text: string) => void>();
  const requests: string[] = [];
  const subscriptions: Mockup['subscriptions'] = new Map();
  let named = 0;
  let events = 0;
  const tree = mockupTree(machine, flavour, {
    sessions: () => [...sessions.values()].map(({ id }) => id),
    subscriptions: () => [...subscriptions.keys()],
  });
  const paths = pathsOf(flavour);
  const context: WriteContext = { machine, flavour, faults };

  let power = machine.power;
  const leave = machine.onChange(() => {
    if (machine.power === power) return;
    power = machine.power;
    events += 1;
    const MessageId = `ResourceEvent.1.0.Resource${{ On: 'PoweredOn', Off: 'PoweredOff', PoweringOn: 'PoweringOn', PoweringOff: 'PoweringOff' }[power]}`;
    const event = {
      '@odata.type': '#Event.v1_4_0.Event',
      Id: String(events),
      Name: 'Event',
      Events: [
        {
          EventType: 'Alert',
          EventId: String(events),
          Severity: 'OK',
          Message: `The system is now ${power}.`,
          MessageId,
          OriginOfCondition: { '@odata.id': `/redfish/v1/Systems/${flavour.system}` },
        },
      ],
    };
    for (const { Destination } of subscriptions.values()) options.onPush?.(String(Destination), event);
    for (const send of listeners) send(`id: ${events}\ndata: ${JSON.stringify(event)}\n\n`);
  });

  const trim = (url: string) => (url.split(/[?#]/)[0] ?? '').replace(/\/+$/, '') || '/';

  function etagOf(body: Body): string | null {
    if (flavour.etags === 'none') return null;
    const hash = createHash('sha1').update(JSON.stringify(body)).digest('hex').slice(0, 8);
    return flavour.etags === 'strong' ? `"${hash}"` : `W/"${hash}"`;
  }

  /** The account that asks, or null. */
  function whoAsks(headers: MockupRequest['headers']): MockupAccount | null {
    const token = headers['x-auth-token'];
    if (token) return sessions.get(token)?.account ?? null;
    const basic = /^Basic (\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (!basic) return null;
    const [name, ...rest] = Buffer.from(basic, 'base64').toString('utf8').split(':');
    return accountOf(name ?? '', rest.join(':'));
  }

  const accountOf = (name: string, password: string): MockupAccount | null =>
    machine.accounts.find((one) => one.enabled && one.name === name && one.password === password) ?? null;

  function logIn(body: Body): MockupAnswer {
    const account = accountOf(String(body.UserName ?? ''), String(body.Password ?? ''));
    if (!account) return unauthorized();
    if (faults.sessionsFull || sessions.size >= maxSessions)
      return refusal(
        flavour,
        503,
        base('SessionLimitExceeded', 'The session establishment failed due to the number of simultaneous sessions.'),
      );
    named += 1;
    const session = { id: `S${named}`, account };
    const token = random(16).toString('hex');
    sessions.set(token, session);
    const path = `${sessionsPath}/${session.id}`;
    // Some put their own host name into it; what counts is the path.
    const Location = flavour.name === 'hpe' ? `https://ilo-${machine.serial.toLowerCase()}.local${path}/` : path;
    return {
      status: 201,
      headers: { 'X-Auth-Token': token, Location },
      body: {
        '@odata.id': path,
        '@odata.type': '#Session.v1_4_0.Session',
        Id: session.id,
        Name: 'Session',
        UserName: account.name,
      },
    };
  }

  const unauthorized = () =>
    refusal(flavour, 401, base('NoValidSession', 'There is no valid session established with the implementation.'), {
      'WWW-Authenticate': 'Basic realm="Redfish"',
    });

  function ending(id: string): string | undefined {
    return [...sessions].find(([, session]) => session.id === id)?.[0];
  }

  /** Does a write, or makes a task of it. */
  function perform(effect: () => void, done: MockupAnswer): MockupAnswer {
    if (faults.tasks <= 0) {
      effect();
      return done;
    }
    named += 1;
    const monitor = `/redfish/v1/TaskService/TaskMonitors/${named}`;
    tasks.set(monitor, { looks: faults.tasks, effect });
    return {
      status: 202,
      headers: { Location: monitor, 'Retry-After': '1' },
      body: taskBody(String(named), 'Running', monitor),
    };
  }

  const taskBody = (id: string, TaskState: string, monitor: string, Messages: readonly Body[] = []): Body => ({
    '@odata.id': `/redfish/v1/TaskService/Tasks/${id}`,
    '@odata.type': '#Task.v1_4_3.Task',
    Id: id,
    Name: 'Task',
    TaskState,
    TaskStatus: TaskState === 'Exception' ? 'Critical' : 'OK',
    TaskMonitor: monitor,
    Messages,
  });

  function lookAtTask(path: string, task: Task): MockupAnswer {
    const id = path.split('/').pop() ?? '';
    task.looks -= 1;
    if (task.looks > 0)
      return { status: 202, headers: { 'Retry-After': '1', Location: path }, body: taskBody(id, 'Running', path) };
    tasks.delete(path);
    if (faults.tasksFail)
      return {
        status: 200,
        headers: {},
        body: taskBody(id, 'Exception', path, [
          { MessageId: 'Base.1.8.InternalError', Message: 'The job failed: no license.', Severity: 'Critical' },
        ]),
      };
    task.effect();
    return { status: 204, headers: {}, body: null };
  }

  function strip(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(strip);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, inner]) => (faults.missing.has(name) ? [] : [[name, strip(inner)]])),
    );
  }

  function get(path: string, query: string): MockupAnswer {
    const make = tree.get(path);
    if (!make)
      return refusal(
        flavour,
        404,
        base('ResourceMissingAtURI', `The resource at the URI ${path} was not found.`, [path]),
      );
    const body = faults.missing.size > 0 ? (strip(make()) as Body) : make();
    if (flavour.expand && /[?&]\$expand=[.*~]/.test(query) && Array.isArray(body.Members))
      body.Members = body.Members.map((member: Body) => tree.get(String(member['@odata.id']))?.() ?? member);
    const etag = etagOf(body);
    const slot = flavour.media.slots.find(({ id }) => path === `${paths.media}/${id}`);
    const changes = path === paths.system || path === paths.settings || path === paths.manager || slot?.patch;
    // Clients tell by it whether a slot without actions takes a PATCH.
    const headers = { Allow: changes ? 'GET, HEAD, PATCH' : 'GET, HEAD', ...(etag && { ETag: etag }) };
    return { status: 200, headers, body: etag ? { ...body, '@odata.etag': etag } : body };
  }

  function precondition(path: string, given: string | undefined): MockupAnswer | null {
    if (flavour.etags === 'none') return null;
    const failed = (status: number) =>
      refusal(
        flavour,
        status,
        base('PreconditionFailed', 'The ETag supplied did not match the ETag required to change this resource.'),
      );
    if (faults.staleEtag > 0) {
      faults.staleEtag -= 1;
      return failed(412);
    }
    if (given === undefined) return flavour.ifMatch === null ? null : failed(flavour.ifMatch);
    if (given === '*') return null;
    const now = etagOf(tree.get(path)?.() ?? {}) ?? '';
    const wanted = flavour.etags === 'weak-strict' ? now.replace(/^W\//, '') : now;
    return given === wanted ? null : failed(412);
  }

  function answer(request: MockupRequest): MockupAnswer {
    const path = trim(request.url);
    const { method } = request;
    requests.push(`${method} ${path}`);
    if (requests.length > 10_000) requests.shift();
    if (faults.notRedfish) return { status: 200, headers: { 'Content-Type': 'text/html' }, body: null };
    if (faults.busy > 0) {
      faults.busy -= 1;
      return refusal(
        flavour,
        503,
        base('ServiceTemporarilyUnavailable', 'The service is temporarily unavailable.', ['1']),
        {
          'Retry-After': String(faults.retryAfter),
        },
      );
    }
    if (faults.broken > 0) {
      faults.broken -= 1;
      return refusal(flavour, 500, base('InternalError', 'The request failed due to an internal service error.'));
    }
    const bare = request.url.split(/[?#]/)[0] ?? '';
    if (flavour.slash && method === 'GET' && path.startsWith('/redfish/v1') && !bare.endsWith('/'))
      return { status: 308, headers: { Location: `${path}/` }, body: null };
    if (path === '/redfish') return { status: 200, headers: {}, body: { v1: '/redfish/v1/' } };
    const body = readBody(request);
    if (body === null)
      return refusal(flavour, 400, base('MalformedJSON', 'The request body submitted was malformed JSON.'));
    const open = path === '/redfish/v1' && method === 'GET';
    if (path.startsWith('/redfish/v1/SessionService') && faults.noSessions)
      return refusal(flavour, 404, base('ResourceMissingAtURI', 'The resource was not found.'));
    if (path === sessionsPath && method === 'POST') return logIn(body);
    if (open) return get(path, request.url);

    const account = whoAsks(request.headers);
    if (!account) return unauthorized();
    const own = path.startsWith('/redfish/v1/AccountService');
    if (faults.passwordExpired && !own)
      return refusal(
        flavour,
        403,
        base(
          'PasswordChangeRequired',
          'The password provided for this account must be changed before access is granted.',
        ),
      );
    if (method === 'GET' || method === 'HEAD') {
      const task = tasks.get(path);
      const subscription = subscriptions.get(path);
      if (subscription) return { status: 200, headers: {}, body: { ...subscription, '@odata.id': path } };
      return task ? lookAtTask(path, task) : get(path, request.url);
    }
    if (method === 'DELETE') {
      const token = path.startsWith(`${sessionsPath}/`) ? ending(path.split('/').pop() ?? '') : undefined;
      if (token) sessions.delete(token);
      else if (!subscriptions.delete(path))
        return refusal(flavour, 405, base('OperationNotAllowed', 'It cannot be deleted.'));
      return { status: 204, headers: {}, body: null };
    }
    if (account.role === 'ReadOnly')
      return refusal(
        flavour,
        403,
        base('InsufficientPrivilege', 'There are insufficient privileges for the account or credentials.'),
      );
    if (method === 'PATCH') {
      if (!tree.has(path))
        return refusal(
          flavour,
          404,
          base('ResourceMissingAtURI', `The resource at the URI ${path} was not found.`, [path]),
        );
      const stopped = precondition(path, request.headers['if-match']);
      if (stopped) return stopped;
      const write = patchResource(context, path, body);
      return typeof write === 'function' ? perform(write, { status: 204, headers: {}, body: null }) : write;
    }
    if (method === 'POST' && path === '/redfish/v1/EventService/Subscriptions') {
      named += 1;
      const made = `${path}/${named}`;
      subscriptions.set(made, body);
      return { status: 201, headers: { Location: made }, body: { ...body, '@odata.id': made, Id: String(named) } };
    }
    if (method === 'POST') {
      const write = postAction(context, path, body);
      return typeof write === 'function' ? perform(write, { status: 204, headers: {}, body: null }) : write;
    }
    return refusal(flavour, 405, base('OperationNotAllowed', `The method ${method} is not allowed.`));
  }

  return {
    faults,
    flavour,
    requests,
    subscriptions,
    get sessions() {
      return sessions.size;
    },
    handle: answer,
    stream(request, send) {
      if (request.method !== 'GET' || flavour.stream === null || trim(request.url) !== flavour.stream) return null;
      if (!whoAsks(request.headers)) return null;
      requests.push(`GET ${flavour.stream}`);
      listeners.add(send);
      send(': stream\n\n');
      return () => listeners.delete(send);
    },
    expireSessions: () => sessions.clear(),
    close() {
      leave();
      listeners.clear();
    },
  };
}

/** Null: no JSON object. An empty body is an empty object. */
function readBody(request: MockupRequest): Body | null {
  if (request.body === '') return {};
  if (request.body.length > mostBody) return null;
  try {
    const value: unknown = JSON.parse(request.body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : null;
  } catch {
    return null;
  }
}
