/**
 * The image `heat`, built by the builder and booted, against a real undercloud: a deployment of each group to CREATE_COMPLETE,
 * by Debian's own agents and by the light one. `bootstrap/test --project long test/long/heat-config.test.ts`
 *
 * UNDERCLOUD_TEST_HEAT_TREE names a tree of that image that was built before. UNDERCLOUD_TEST_HEAT_AGENTS names a checkout
 * of heat-agents, whose hooks then take the place of ours in one case more.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { launcher, run } from '../lab/undercloud.fixture.ts';
import { openAgents } from '../setup/stack-agents.ts';
import { atRest } from '../setup/stacks.ts';
import { bootNode, type NodeWish } from './configured-node.fixture.ts';

const elements = resolve(import.meta.dirname, '../../elements');
const { UNDERCLOUD_TEST_HEAT_TREE: built, UNDERCLOUD_TEST_HEAT_AGENTS: heatAgents } = process.env;
const scratch = mkdtempSync('/var/tmp/uc-heat-image-');
const tree = built ?? join(scratch, 'heat.tree');

beforeAll(async () => {
  if (built) return;
  const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
  const where = ['--state', join(scratch, 'state'), '--image-cache', cache, '-o', join(scratch, 'heat')];
  const ran = await run(launcher, ['image', 'build', 'heat', '-t', 'tree', ...where]);
  expect(ran.code, ran.stderr).toBe(0);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const config = (group: string, body: unknown, more: object = {}) => ({
  type: typeof body === 'string' ? 'OS::Heat::SoftwareConfig' : 'OS::Heat::StructuredConfig',
  properties: { group, config: body, ...more },
});
const deployment = (name: string, more: object = {}, after: object = {}) => ({
  type:
    name === 'json' || name === 'hiera' || name === 'containers' || name === 'apply'
      ? 'OS::Heat::StructuredDeployment'
      : 'OS::Heat::SoftwareDeployment',
  ...after,
  properties: { config: { get_resource: name }, server: { get_resource: 'node' }, ...more },
});
const io = { inputs: [{ name: 'word' }], outputs: [{ name: 'result' }] };
const word = { input_values: { word: 'said' } };

const resources = {
  node: {
    type: 'OS::Nova::Server',
    metadata: { app: { greeting: 'good day' } },
    properties: { image: 'lab', flavor: 'baremetal', user_data_format: 'SOFTWARE_CONFIG' },
  },
  script: config('script', '#!/bin/sh\necho "out $word"; printf "script $word" >$heat_outputs_path.result\n', io),
  ansible: config(
    'ansible',
    `- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - copy: {content: "ansible {{ word }}", dest: "{{ heat_outputs_path }}.result"}
`,
    io,
  ),
  puppet: config('puppet', `file { "\${heat_outputs_path}.result": content => "puppet \${word}" }\n`, io),
  json: config('json-file', { '/etc/app/data.json': { ports: [80, 443] } }),
  hiera: config('hiera', { hierarchy: ['app'], datafiles: { app: { 'app::port': 80 } } }),
  apply: config('apply-config', { any: 'thing' }),
  // There is no registry here: the image is made of one program.
  tiny: config(
    'script',
    '#!/bin/sh\nset -e\nmkdir -p /root/tiny/bin\ncp /opt/busybox /root/tiny/bin/busybox\ntar -C /root/tiny -c . | podman import - localhost/tiny\n',
  ),
  containers: config('docker-cmd', {
    greeter: {
      start_order: 1,
      detach: false,
      image: 'localhost/tiny',
      net: 'host',
      environment: ['WORD=container'],
      command: ['/bin/busybox', 'sh', '-c', 'echo from $WORD'],
    },
    stays: { start_order: 0, image: 'localhost/tiny', net: 'host', command: '/bin/busybox sleep 100000' },
    within: { start_order: 2, action: 'exec', command: 'stays /bin/busybox echo within' },
  }),
  d_script: deployment('script', word),
  d_ansible: deployment('ansible', word),
  d_puppet: deployment('puppet', word),
  d_json: deployment('json'),
  d_hiera: deployment('hiera'),
  d_apply: deployment('apply'),
  d_tiny: deployment('tiny'),
};
const withContainers = { ...resources, d_containers: deployment('containers', {}, { depends_on: 'd_tiny' }) };

const attribute = (name: string, of: string) => ({ value: { get_attr: [name, of] } });
const outputs = {
  script: attribute('d_script', 'result'),
  said: attribute('d_script', 'deploy_stdout'),
  ansible: attribute('d_ansible', 'result'),
  puppet: attribute('d_puppet', 'result'),
};

/** podman in a container has neither overlays nor cgroups to give. */
const podman = {
  'etc/containers/storage.conf': {
    text: '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n',
  },
  'etc/containers/containers.conf': {
    text: '[containers]\ncgroups = "disabled"\nipcns = "host"\nutsns = "host"\nseccomp_profile = "unconfined"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "crun"\n',
  },
};
const templates = '/usr/libexec/os-apply-config/templates';
const stock: Partial<NodeWish> = {};
const refresh = '/usr/libexec/os-refresh-config/configure.d';
const light: Partial<NodeWish> = {
  copies: { '.': join(elements, 'configuration-agent/static') },
  // What the agent does itself, the other tools must not do a second time.
  without: [
    `${refresh}/20-os-apply-config`,
    `${refresh}/55-heat-config`,
    '/etc/systemd/system/cloud-init.target.wants/os-collect-config.service',
  ],
  units: ['undercloud-agent.service'],
};

/** heat-agents' hooks, each in the place that its element gives it; ours are gone. */
function theirs(): Partial<NodeWish> {
  const dir = mkdtempSync('/var/tmp/uc-heat-agents-');
  onTestFinished(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'hooks'));
  mkdirSync(join(dir, 'configure.d'));
  for (const group of readdirSync(heatAgents as string)) {
    const from = join(heatAgents as string, group);
    const name = group.replace(/^heat-config-/, '');
    if (existsSync(join(from, `install.d/hook-${name}.py`)))
      cpSync(join(from, `install.d/hook-${name}.py`), join(dir, 'hooks', name));
    for (const one of existsSync(join(from, 'os-refresh-config/configure.d'))
      ? readdirSync(join(from, 'os-refresh-config/configure.d'))
      : [])
      if (/docker-cmd|55-heat-config/.test(one))
        cpSync(join(from, 'os-refresh-config/configure.d', one), join(dir, 'configure.d', one));
  }
  mkdirSync(join(dir, 'bin'));
  cpSync(join(heatAgents as string, 'heat-config/bin/heat-config-notify'), join(dir, 'bin/heat-config-notify'));
  execFileSync('chmod', ['-R', '755', dir]);
  return {
    copies: {
      'var/lib/heat-config/hooks': join(dir, 'hooks'),
      'usr/libexec/os-refresh-config/configure.d': join(dir, 'configure.d'),
      'usr/bin': join(dir, 'bin'),
    },
    without: ['/usr/libexec/heat-config/hooks', `${refresh}/50-docker-cmd`],
    files: {
      'etc/systemd/system/os-collect-config.service.d/docker.conf': {
        text: '[Service]\nEnvironment=HEAT_DOCKER_CMD=podman\n',
      },
    },
  };
}

/** `cleans`: containers of a deployment that is gone go with it. heat-agents asks podman for what it cannot tell before 4.4. */
const cases: [string, () => Partial<NodeWish>, boolean][] = [
  ['Debian’s os-collect-config with the element’s hooks', () => stock, true],
  ['the light agent with the same hooks', () => light, true],
  ...(heatAgents ? [['heat-agents’ own hooks', theirs, false] as [string, () => Partial<NodeWish>, boolean]] : []),
];

it.each(cases)(
  'configures a booted node by %s: a deployment of each group',
  async (_, wish, cleans) => {
    const { world, orchestration, outside, context, base } = await openAgents();
    const template = { heat_template_version: '2021-04-16', resources: withContainers, outputs };
    await orchestration.createStack(context, 'groups', { template: template as never, timeoutMinutes: 8 });
    await world.heard('resource.waiting', ({ data }) => data.name === 'd_script');
    const userData = [...outside.servers.values()][0]?.userData ?? '';
    const { files, copies, ...own } = wish();
    const node = await bootNode({
      tree,
      port: Number(new URL(base).port),
      userData,
      ...own,
      copies: { 'opt/busybox': '/bin/busybox', ...copies },
      files: { ...podman, [`.${templates}/etc/app.conf`]: { text: 'greeting = {{app.greeting}}\n' }, ...files },
    });
    const journal = async () =>
      `${node.console().slice(-4000)}\n${(await node.inside('journalctl', '--no-pager', '-n', '150', '-u', 'os-collect-config', '-u', 'undercloud-agent')).stdout}`;
    const end = await atRest(world, orchestration, 'groups');
    const { reason } = await orchestration.findStack(context, 'groups');
    expect(end, end === 'CREATE_COMPLETE' ? '' : `${reason}\n${await journal()}`).toBe('CREATE_COMPLETE');
    const values = Object.fromEntries(
      (await orchestration.outputs(context, 'groups')).map((one) => [one.output_key, one.output_value]),
    );
    expect(values).toEqual({
      script: 'script said',
      said: 'out said\n',
      ansible: 'ansible said',
      puppet: 'puppet said',
    });
    const read = async (path: string) => (await node.inside('cat', path)).stdout;
    expect(JSON.parse(await read('/etc/app/data.json'))).toEqual({ ports: [80, 443] });
    expect(JSON.parse(await read('/etc/puppet/hieradata/app.json'))).toEqual({ 'app::port': 80 });
    expect(await read('/etc/app.conf')).toBe('greeting = good day\n');
    const names = async () => (await node.inside('podman', 'ps', '--format', '{{.Names}}')).stdout.trim();
    expect(await names()).toBe('stays');
    // A deployment that is taken out of the template takes its containers with it.
    await orchestration.updateStack(context, 'groups', {
      template: { ...template, resources } as never,
      existing: false,
    });
    expect(await atRest(world, orchestration, 'groups')).toBe('UPDATE_COMPLETE');
    await expect.poll(names, { timeout: 60_000 }).toBe(cleans ? '' : 'stays');
  },
  600_000,
);
