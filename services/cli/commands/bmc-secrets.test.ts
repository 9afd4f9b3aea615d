/**
 * No password of a BMC is in a log, an event, an error, or an answer: every command and route that deals with BMCs is run, well and
 * badly, with passwords that can be recognised, and all that was said and kept is searched for them in every form.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createAppliance } from '../../../test/setup/appliance.ts';
import { createVirtualBmc, serveVirtualBmc, serveVirtualRedfish } from '../../lab/index.ts';

const ipmiPassword = 'Marker-ipmi-pw16';
const redfishPassword = 'Marker-redfish-1';
const wrongPassword = 'Wrong-marker-pw1';
const kg = 'Marker-of-the-kg';
const kgHex = Buffer.from(kg).toString('hex');

/** As it may be written on a wire or into a text. */
const formsOf = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64').replace(/=+$/, ''),
    ...['root', 'admin'].map((user) => Buffer.from(`${user}:${secret}`).toString('base64').replace(/=+$/, '')),
    encodeURIComponent(secret),
  ];
};

it('says no password of a BMC anywhere, whatever is asked of it', { timeout: 120_000 }, async () => {
  const told: { where: string; text: string }[] = [];
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream);
    const spy = vi.spyOn(stream, 'write').mockImplementation(((chunk: string, ...rest: never[]) => {
      told.push({ where: 'log', text: String(chunk) });
      return write(chunk, ...rest);
    }) as typeof stream.write);
    onTestFinished(() => spy.mockRestore());
  }
  const site = await createAppliance();
  const virtual = createVirtualBmc({
    users: [{ name: 'root', password: ipmiPassword, privilege: 'administrator' }],
    kg,
  });
  const ipmi = await serveVirtualBmc(virtual, '127.0.0.1', 0);
  const accounts = [{ name: 'admin', password: redfishPassword, role: 'Administrator' }] as const;
  const redfish = await serveVirtualRedfish({ accounts });
  onTestFinished(async () => {
    await site.close();
    ipmi.close();
    await redfish.close();
  });
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await site.run('undercloud', ...args);
    told.push({ where: `undercloud ${args.join(' ')}`, text: stdout + stderr });
    return { code, stdout, stderr };
  };
  const file = (name: string, nodes: object[]): string => {
    const path = join(site.dir, name);
    writeFileSync(path, JSON.stringify({ nodes }));
    return path;
  };
  const ofIpmi = {
    ...{ name: 'n-ipmi', pm_type: 'ipmi', pm_addr: '127.0.0.1', pm_port: ipmi.port, pm_user: 'root' },
    ports: [{ address: '52:54:00:00:09:01' }],
  };
  const ofRedfish = {
    ...{ name: 'n-redfish', pm_type: 'redfish', pm_addr: redfish.address, pm_user: 'admin', pm_system_id: '1' },
    ports: [{ address: '52:54:00:00:09:02' }],
  };
  // Refused ones first: each error was made beside a password.
  await run('node', 'import', file('bad.json', [{ ...ofIpmi, pm_type: 'telepathy', pm_password: ipmiPassword }]));
  await run('node', 'import', file('wrong.json', [{ ...ofRedfish, pm_password: wrongPassword }]));
  const odd = { ...ofIpmi, name: 'odd', pm_password: { is: ipmiPassword }, ports: [{ address: '52:54:00:00:09:03' }] };
  await run('node', 'import', file('odd.json', [odd]));
  const good = file('good.json', [{ ...ofRedfish, pm_password: redfishPassword }]);
  expect((await run('node', 'import', good)).code).toBe(0);

  const issued = await fetch(`${site.url}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: 'admin', domain: { id: 'default' }, password: 'swordfish' } },
        },
        scope: { project: { name: 'admin', domain: { id: 'default' } } },
      },
    }),
  });
  const token = issued.headers.get('x-subject-token') ?? '';
  const statuses = new Map<string, number>();
  const call = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${site.url}/baremetal${path}`, {
      method,
      headers: {
        ...{ 'X-Auth-Token': token, 'X-OpenStack-Ironic-API-Version': '1.87' },
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    told.push({ where: `${method} ${path}`, text: `${JSON.stringify([...answer.headers])} ${text}` });
    statuses.set(`${method} ${path}`, answer.status);
    return text.startsWith('{') ? JSON.parse(text) : {};
  };
  const driver_info = {
    ...{ ipmi_address: '127.0.0.1', ipmi_port: ipmi.port, ipmi_username: 'root' },
    ...{ ipmi_password: ipmiPassword, ipmi_hex_kg_key: kgHex },
  };
  // Shapes that are refused, with the secret in them.
  await call('POST', '/v1/nodes', { driver: 'ipmi', name: 'x y', driver_info });
  await call('POST', '/v1/nodes', { driver: 'ipmi', name: 'n2', driver_info: { ...driver_info, ipmi_port: 99_999 } });
  await call('POST', '/v1/nodes', { driver: 'ipmi', nonsense: ipmiPassword });
  await call('POST', '/v1/nodes', { driver: 'ipmi', name: 'n-ipmi', driver_info });
  const set = (node: string, path: string, value: unknown) =>
    call('PATCH', `/v1/nodes/${node}`, [{ op: 'replace', path: `/driver_info/${path}`, value }]);
  await set('n-ipmi', 'ipmi_password/deeper', ipmiPassword);
  await call('PATCH', '/v1/nodes/n-ipmi', [{ op: 'test', path: '/driver_info/ipmi_password', value: wrongPassword }]);
  await call('PATCH', '/v1/nodes/n-ipmi', { ipmi_password: ipmiPassword });

  const nodes = ['n-ipmi', 'n-redfish'];
  const settled = async (node: string) => {
    const { uuid } = (await call('GET', `/v1/nodes/${node}`)) as { uuid: string };
    const last = await site.world.operations.last({ type: 'node', id: uuid });
    if (last) await site.world.operations.ended(last.id);
  };
  const everything = async (node: string) => {
    const at = `/v1/nodes/${node}`;
    for (const path of [
      '',
      '/validate',
      '/states',
      '/bmc',
      '/bmc/sensors',
      '/bmc/event-log',
      '/bmc/clock',
      '/bmc/inventory',
    ])
      await call('GET', `${at}${path}`);
    for (const path of ['/bmc/firmware', '/bmc/users', '/bmc/power-policy', '/console', '/management/boot_device'])
      await call('GET', `${at}${path}`);
    for (const path of [
      '/management/indicators/identify@chassis',
      '/states/console',
      '/history',
      '/traits',
      '/timeline',
    ])
      await call('GET', `${at}${path}`);
    await call('PUT', `${at}/management/boot_device`, { boot_device: 'pxe', persistent: false });
    await call('PUT', `${at}/management/inject_nmi`);
    await call('PUT', `${at}/management/indicators/identify@chassis`, { state: 'ON' });
    await call('PUT', `${at}/bmc/power-policy`, { policy: 'always-on' });
    await call('POST', `${at}/bmc/clock`);
    await call('DELETE', `${at}/bmc/event-log`);
    for (const [path, body] of [
      ['/states/provision', { target: 'manage' }],
      ['/states/power', { target: 'power on' }],
      ['/bmc/check', {}],
      ['/bmc/rotate-password', {}],
    ] as const) {
      await call(path.startsWith('/states') ? 'PUT' : 'POST', `${at}${path}`, body);
      await settled(node);
    }
    await call('GET', at);
  };
  for (const node of nodes) await everything(node);
  expect(statuses.get('POST /v1/nodes/n-ipmi/bmc/rotate-password')).toBe(202);
  expect(statuses.get('GET /v1/nodes/n-redfish/bmc/users')).toBe(200);
  const rotated = [virtual.machine.users[2]!.password, redfish.machine.accounts[0]!.password];
  expect(rotated).not.toContain(ipmiPassword);
  expect(rotated).not.toContain(redfishPassword);

  // And once more where the password, the key, or the user is wrong: every sentence of a refusal.
  await set('n-ipmi', 'ipmi_password', wrongPassword);
  await set('n-redfish', 'redfish_password', wrongPassword);
  for (const node of nodes) await everything(node);
  await set('n-ipmi', 'ipmi_password', rotated[0]);
  await set('n-ipmi', 'ipmi_hex_kg_key', Buffer.from(wrongPassword).toString('hex'));
  await everything('n-ipmi');
  expect(statuses.get('GET /v1/nodes/n-ipmi/bmc/sensors')).toBe(400);
  for (const path of ['/v1/nodes/detail', '/v1/bmcs/cards', '/v1/bmcs/fleet', '/v1/drivers/ipmi/properties'])
    await call('GET', path);
  for (const node of nodes) {
    await run('node', 'show', node);
    await run('--json', 'bmc', 'show', node);
    await run('bmc', 'check', node);
    await run('node', 'timeline', node);
  }

  await site.world.recorder.drain();
  const { rows: tables } = await site.world.db.pool.query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
  );
  for (const { name } of tables) {
    const { rows } = await site.world.db.pool.query<{ row: string }>(`select t::text as row from ${name} t`);
    told.push(...rows.map(({ row }) => ({ where: name, text: row })));
  }
  // The search itself finds what there is to find: users and refusals are told.
  const all = told.map(({ text }) => text).join('\n');
  expect(all).toMatch(/refuses the user root/);
  expect(all).toMatch(/refuses the user admin/);
  expect(all).toMatch(/not the key K_g/);
  expect(told.length).toBeGreaterThan(200);
  const found = [ipmiPassword, redfishPassword, wrongPassword, kg, ...rotated].flatMap((secret) =>
    formsOf(secret).flatMap((form) =>
      told.filter(({ text }) => text.includes(form)).map(({ where, text }) => `${where}: …${around(text, form)}…`),
    ),
  );
  expect(found).toEqual([]);
});

const around = (text: string, form: string): string => {
  const at = text.indexOf(form);
  return text.slice(Math.max(0, at - 80), at + form.length + 20);
};
