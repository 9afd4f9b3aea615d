/** Input that is meant to hurt, through the API as anybody may send it: refused clearly, soon, and without much memory. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { stage } from '../../test/setup/stacks.ts';
import { createWorld } from '../../test/setup/world.ts';
import { createApi } from '../core/http/index.ts';

async function open() {
  const world = await createWorld();
  const { orchestration } = stage(world);
  const api = createApi();
  api.register(orchestration.routes, { prefix: '/orchestration' });
  onTestFinished(() => api.close());
  await world.operations.run({ sole: true });
  const send = async (path: string, payload: string | object) => {
    const answer = await api.inject({
      method: 'POST',
      url: `/orchestration/v1/${world.context.projectId}${path}`,
      headers: { 'x-auth-token': 't', 'content-type': 'application/json' },
      payload,
    });
    return { status: answer.statusCode, body: answer.json() as { error: { type: string; message: string } } };
  };
  const routes = {
    validate: (more: object) => send('/validate', more),
    create: (more: object) => send('/stacks', { stack_name: 's', ...more }),
    preview: (more: object) => send('/stacks/preview', { stack_name: 's', ...more }),
    plan: (more: object) => send('/stacks/s/plan', more),
  };
  return {
    world,
    send,
    routes,
    /** Asks every route that reads a template; each has to refuse. @returns what they say */
    async refusals(more: object): Promise<string[]> {
      const said: string[] = [];
      for (const [name, ask] of Object.entries(routes)) {
        const { status, body } = await ask(more);
        expect({ name, status, body: body.error?.message?.slice(0, 200) }).toMatchObject({ status: 400 });
        said.push(body.error.message);
      }
      return said;
    },
  };
}

const head = 'heat_template_version: 2021-04-16\n';
const laughs = (of: number): string =>
  ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    .concat(Array.from({ length: of }, (_, at) => `a${at + 1}: &a${at + 1} [${Array(10).fill(`*a${at}`).join(', ')}]`))
    .join('\n');
const valued = (value: string): string =>
  `${head}resources:\n  r:\n    type: OS::Heat::Value\n    properties:\n      value: ${value}\n`;

describe('a template is refused', () => {
  it('that laughs a billion times', async () => {
    const { refusals } = await open();
    for (const said of await refusals({ template: `${head}${laughs(12)}\nresources: {}\n` }))
      expect(said).toMatch(/alias/i);
    const aliased = `${head}parameters:\n  p: {type: json, default: {${laughs(12).replaceAll('\n', ', ')}}}\nresources: {}\n`;
    await refusals({ template: aliased });
    await refusals({
      template: `${head}resources: {}\n`,
      environment: `parameters:\n  p:\n    ${laughs(12).replaceAll('\n', '\n    ')}\n`,
    });
    await refusals({
      template: `${head}resources: {r: {type: big.yaml}}\n`,
      files: { 'big.yaml': `${head}${laughs(12)}\nresources: {}\n` },
    });
  });

  it('of fifty megabytes', async () => {
    const { routes, refusals } = await open();
    const huge = head + '#'.repeat(50 << 20);
    for (const ask of [routes.create, routes.validate]) {
      const { status, body } = await ask({ template: huge });
      expect(status).toBe(400);
      expect(body.error).toMatchObject({
        type: 'RequestLimitExceeded',
        message: expect.stringMatching(/JSON body size exceeds maximum allowed size \(\d+ bytes\)/),
      });
    }
    // What the server takes, and the language does not.
    const large = '#'.repeat(6 << 20);
    for (const said of await refusals({ template: head + large })) expect(said).toMatch(/exceed/i);
    await refusals({ template: `${head}resources: {r: {type: big.yaml}}\n`, files: { 'big.yaml': large } });
  });

  it('that is nested ten thousand deep', async () => {
    const { refusals, send } = await open();
    const deep = 10_000;
    await refusals({ template: valued('['.repeat(deep) + ']'.repeat(deep)) });
    await refusals({ template: valued('{a: '.repeat(deep) + '}'.repeat(deep)) });
    await refusals({ template: head + Array.from({ length: 2_000 }, (_, at) => `${' '.repeat(at)}a:`).join('\n') });
    const body = `{"stack_name":"s","template":{"heat_template_version":"2021-04-16","resources":{"r":{"type":"OS::Heat::Value","properties":{"value":${'['.repeat(deep)}${']'.repeat(deep)}}}}}}`;
    for (const path of ['/validate', '/stacks', '/stacks/preview', '/stacks/s/plan'])
      expect({ path, ...(await send(path, body)) }).toMatchObject({ status: 400 });
    const functions = '{list_concat: [['.repeat(3_000) + ']]}'.repeat(3_000);
    await refusals({ template: valued(functions) });
  });

  it('whose resources need each other in a circle, which is named in full', async () => {
    const { refusals } = await open();
    const circle = (length: number): object =>
      Object.fromEntries(
        Array.from({ length }, (_, at) => [`r${at}`, { type: 'OS::Heat::None', depends_on: `r${(at + 1) % length}` }]),
      );
    const template = (length: number) => ({ heat_template_version: '2021-04-16', resources: circle(length) });
    for (const said of await refusals({ template: template(3) })) expect(said).toMatch(/r0.*r1.*r2/);
    for (const said of await refusals({ template: template(300) }))
      for (let at = 0; at < 300; at += 1) expect(said).toContain(`r${at}`);
  });

  it('that is within itself, at once or around a corner', async () => {
    const { refusals } = await open();
    const within = (type: string): string => `${head}resources: {r: {type: ${type}}}\n`;
    const files = { 'a.yaml': within('b.yaml'), 'b.yaml': within('a.yaml') };
    for (const said of await refusals({ template: within('a.yaml'), files }))
      expect(said).toMatch(/Recursion depth exceeds 10/);
    const group = `${head}resources: {g: {type: OS::Heat::ResourceGroup, properties: {count: 2, resource_def: {type: a.yaml}}}}\n`;
    await refusals({ template: group, files: { 'a.yaml': group } });
    const nine = (type: string): string =>
      `${head}resources:\n${Array.from({ length: 9 }, (_, at) => `  r${at}: {type: ${type}}\n`).join('')}`;
    const many = Object.fromEntries(
      Array.from({ length: 8 }, (_, at) => [`m${at}.yaml`, nine(at < 7 ? `m${at + 1}.yaml` : 'OS::Heat::None')]),
    );
    for (const said of await refusals({ template: within('m0.yaml'), files: many }))
      expect(said).toContain('Maximum resources per stack exceeded');
  });

  it('that wants a file which was not sent along: from elsewhere, or from a URL', async () => {
    const { routes } = await open();
    for (const file of ['/etc/passwd', '../secret', 'file:///etc/passwd', 'http://169.254.169.254/latest/meta-data']) {
      // Heat's validation tells what a template takes, and works no values out.
      for (const ask of [routes.create, routes.preview, routes.plan]) {
        const { status, body } = await ask({ template: valued(`{get_file: "${file}"}`) });
        expect(status).toBe(400);
        expect(body.error.message).toContain(file);
      }
      for (const ask of Object.values(routes))
        expect(await ask({ template: `${head}resources: {r: {type: "${file}.yaml"}}\n` })).toMatchObject({
          status: 400,
        });
    }
    for (const url of ['http://169.254.169.254/x.yaml', 'file:///etc/passwd'])
      for (const ask of Object.values(routes)) expect(await ask({ template_url: url })).toMatchObject({ status: 400 });
  });
});

describe('a plan is refused', () => {
  it('that was changed, is another undercloud’s, or none at all', async () => {
    const { send } = await open();
    const template = { heat_template_version: '2021-04-16', resources: { r: { type: 'OS::Heat::RandomString' } } };
    const made = (await send('/stacks/s/plan', { template })).body as unknown as { sealed: string; changes: object };
    const bent = [
      { ...made, changes: { create: 2 } },
      { ...made, sealed: `${made.sealed.slice(0, -4)}AAAA` },
      { ...made, sealed: '' },
      { ...made, more: 1 },
      { sealed: made.sealed },
      {},
      [],
      'x',
      null,
    ];
    for (const plan of bent) {
      const { status, body } = await send('/plans/apply', { plan });
      expect({ plan: JSON.stringify(plan)?.slice(0, 60), status }).toMatchObject({ status: 400 });
      expect(body.error.message).toMatch(/plan/i);
    }
  });
});
