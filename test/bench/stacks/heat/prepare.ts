/** Once for each tree, in a room: databases laid out, Keystone's users, roles and catalog made, everything stopped again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openTree, startDatabase, startKeystone, stop } from './services.ts';
import {
  adminPassword,
  databaseSocket,
  databaseSql,
  heatConf,
  keystoneConf,
  keystoneUrl,
  ports,
  servicePassword,
} from './settings.ts';

const [, , root = ''] = process.argv;
const tree = openTree(root);
writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
writeFileSync(join(root, 'etc/keystone/keystone.conf'), keystoneConf);
writeFileSync(join(root, 'etc/heat/heat.conf'), heatConf);

const database = await startDatabase(tree);
tree.run('mariadb', `--socket=${databaseSocket}`, '-e', databaseSql);
tree.run('keystone-manage', 'db_sync');
const owner = ['--keystone-user', 'keystone', '--keystone-group', 'keystone'];
for (const keys of ['fernet_setup', 'credential_setup']) {
  const dir = `/etc/keystone/${keys === 'fernet_setup' ? 'fernet' : 'credential'}-keys`;
  tree.run('install', '-d', '-o', 'keystone', '-g', 'keystone', '-m', '700', dir);
  tree.run('keystone-manage', keys, ...owner);
}
const urls = ['admin', 'public', 'internal'].flatMap((face) => [`--bootstrap-${face}-url`, keystoneUrl]);
tree.run(
  ...['keystone-manage', 'bootstrap', '--bootstrap-region-id', 'RegionOne'],
  ...['--bootstrap-password', adminPassword, ...urls],
);
tree.run('heat-manage', 'db_sync');

const keystone = await startKeystone(tree);
const user = { name: 'admin', domain: { id: 'default' }, password: adminPassword };
const logged = await fetch(`${keystoneUrl}/auth/tokens`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    auth: {
      identity: { methods: ['password'], password: { user } },
      scope: { project: { name: 'admin', domain: { id: 'default' } } },
    },
  }),
});
if (!logged.ok) throw new Error(`Keystone refused the login: ${logged.status} ${await logged.text()}`);
const token = logged.headers.get('x-subject-token') ?? '';
const { token: me } = (await logged.json()) as { token: { user: { id: string }; project: { id: string } } };

async function ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<Record<string, unknown>> {
  const answer = await fetch(keystoneUrl + path, {
    method,
    headers: { 'x-auth-token': token, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? {} : ((await answer.json()) as Record<string, unknown>);
}

/** @returns the id */
async function make(kind: string, fields: object): Promise<string> {
  const made = await ask('POST', `/${kind}s`, { [kind]: fields });
  return (made[kind] as { id: string }).id;
}

const { roles } = (await ask('GET', '/roles')) as { roles: { id: string; name: string }[] };
const roleOf = async (name: string): Promise<string> =>
  roles.find((role) => role.name === name)?.id ?? (await make('role', { name }));
const admin = await roleOf('admin');
await roleOf('heat_stack_user');
const service = await make('project', { name: 'service', domain_id: 'default' });
const heat = await make('user', { name: 'heat', domain_id: 'default', password: servicePassword });
await ask('PUT', `/projects/${service}/users/${heat}/roles/${admin}`);
const domain = await make('domain', { name: 'heat' });
const keeper = await make('user', { name: 'heat_domain_admin', domain_id: domain, password: servicePassword });
await ask('PUT', `/domains/${domain}/users/${keeper}/roles/${admin}`);
await ask('PUT', `/projects/${me.project.id}/users/${me.user.id}/roles/${await roleOf('heat_stack_owner')}`);
for (const [type, url] of [
  ['orchestration', `http://127.0.0.1:${ports.heat}/v1/%(tenant_id)s`],
  ['cloudformation', `http://127.0.0.1:${ports.cfn}/v1`],
] as const) {
  const id = await make('service', { type, name: type });
  for (const face of ['public', 'internal', 'admin'])
    await make('endpoint', { service_id: id, interface: face, region_id: 'RegionOne', url });
}
await stop(keystone);
await stop(database);
process.exit(0);
