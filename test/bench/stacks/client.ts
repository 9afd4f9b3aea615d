/** One client for both sides: Keystone's login, Heat's requests, and the clock from the request to the stack's end. */
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Template = { readonly [key: string]: Json };

export interface Heat {
  readonly url: string;
  readonly token: string;
}

export const template = (resources: { readonly [name: string]: Json }): Template => ({
  heat_template_version: '2021-04-16',
  resources,
});

export async function login(keystone: string): Promise<Heat> {
  const answer = await fetch(`${keystone}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: 'admin', domain: { id: 'default' }, password: 'adminpw' } },
        },
        scope: { project: { name: 'admin', domain: { id: 'default' } } },
      },
    }),
  });
  if (!answer.ok) throw new Error(`${keystone} refused the login: ${answer.status} ${await answer.text()}`);
  interface Catalog {
    token: { catalog: { type: string; endpoints: { interface: string; url: string }[] }[] };
  }
  const { token } = (await answer.json()) as Catalog;
  const url = token.catalog
    .find(({ type }) => type === 'orchestration')
    ?.endpoints.find((endpoint) => endpoint.interface === 'public')?.url;
  if (!url) throw new Error(`${keystone} knows no orchestration endpoint`);
  return { url, token: answer.headers.get('x-subject-token') ?? '' };
}

export async function ask(heat: Heat, method: string, path: string, body?: object): Promise<Response> {
  return fetch(heat.url + path, {
    method,
    headers: { 'x-auth-token': heat.token, accept: 'application/json', 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
}

/** Nothing that is measured here takes longer. */
const mostSeconds = 180;

/** Seconds from the request to the end of the action, as a client sees it that asks every `everyMs`. */
export async function timed(
  heat: Heat,
  name: string,
  request: { method: 'POST' | 'PUT' | 'DELETE'; path: string; body?: object },
  everyMs: number,
): Promise<number> {
  const from = performance.now();
  const answer = await ask(heat, request.method, request.path, request.body);
  if (!answer.ok) throw new Error(`${request.method} ${request.path}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
  for (;;) {
    const look = await ask(heat, 'GET', `/stacks/${name}?resolve_outputs=False`);
    const seconds = (performance.now() - from) / 1000;
    if (look.status === 404) {
      await look.arrayBuffer();
      return seconds;
    }
    const { stack } = (await look.json()) as { stack: { stack_status: string; stack_status_reason: string } };
    if (stack.stack_status.endsWith('_COMPLETE')) return seconds;
    if (seconds > mostSeconds) throw new Error(`${name} is ${stack.stack_status} after ${mostSeconds} s`);
    if (stack.stack_status.endsWith('_FAILED')) throw new Error(`${name}: ${stack.stack_status_reason}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

export const create = (heat: Heat, name: string, body: Template, everyMs: number, files: object = {}) =>
  timed(
    heat,
    name,
    {
      method: 'POST',
      path: '/stacks',
      body: { stack_name: name, template: body, files, environment: {}, timeout_mins: 60 },
    },
    everyMs,
  );

export async function idOf(heat: Heat, name: string): Promise<string> {
  const answer = await ask(heat, 'GET', `/stacks/${name}?resolve_outputs=False`);
  return ((await answer.json()) as { stack: { id: string } }).stack.id;
}

export async function update(heat: Heat, name: string, body: Template, everyMs: number): Promise<number> {
  const id = await idOf(heat, name);
  return timed(
    heat,
    name,
    { method: 'PUT', path: `/stacks/${name}/${id}`, body: { template: body, environment: {}, files: {} } },
    everyMs,
  );
}

export async function remove(heat: Heat, name: string, everyMs: number): Promise<number> {
  const id = await idOf(heat, name);
  return timed(heat, name, { method: 'DELETE', path: `/stacks/${name}/${id}` }, everyMs);
}

/** Validations of a template of twenty resources in a second, four at once. */
export async function validations(heat: Heat, count: number): Promise<number> {
  const text = { length: 8 };
  const one = { type: 'OS::Heat::RandomString', properties: text };
  const whole = template(Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`r${at}`, one])));
  const from = performance.now();
  let left = count;
  const work = async () => {
    for (; left > 0; ) {
      left -= 1;
      const answer = await ask(heat, 'POST', '/validate', { template: whole, files: {}, environment: {} });
      if (!answer.ok) throw new Error(`validate: ${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return count / ((performance.now() - from) / 1_000);
}
