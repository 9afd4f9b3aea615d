/**
 * The way of a real rack: an undercloud with `--provisioning-interface`, on a machine with two network cards. One is on the
 * nodes' link, the other on the network of their BMCs; the undercloud knows of neither more than an operator tells it. The
 * machine is a network namespace; the rack behind the cables is a lab of another state directory, whose BMCs are relayed.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standing, stopServices } from '../../bootstrap/services.ts';
import { buildRamdisk } from '../../services/builder/index.ts';
import { statePaths } from '../../services/core/config.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { type Lab, labDown, labNetns, labUp } from '../../services/lab/index.ts';
import { ip } from '../lab/namespace.fixture.ts';
import { launcher, type Ran, run, userOf } from '../lab/undercloud.fixture.ts';

const scratch = mkdtempSync('/var/tmp/uc-wired-');
const state = join(scratch, 'state');
const rack = join(scratch, 'rack');
const paths = statePaths(state);
const machine = `uct-${randomBytes(4).toString('hex')}`;
const card = 'prov0';
const bmcAddress = '203.0.113.1';
const minutes = 60_000;

let lab: Lab;
let relay: ChildProcess | null = null;

/** A program on the machine. `ip netns exec` shows it its own /sys, in which an operator's tools look for the interface. */
const there = (program: string, ...args: string[]): Promise<Ran> =>
  run('ip', ['netns', 'exec', machine, program, ...args]);
const inMachine = (...words: string[]): string =>
  execFileSync('ip', ['-n', machine, '-4', ...words], { encoding: 'utf8' });
const overcloud = launcher.replace(/undercloud$/, 'overcloud');
async function well(program: string, ...args: string[]): Promise<string> {
  const ran = await there(program, ...args, '--state', state);
  expect(ran.code, `${args.join(' ')}\n${ran.stdout}\n${ran.stderr}`).toBe(0);
  return ran.stdout;
}

/** The two cables: the nodes' link as it leaves the rack's switch, and the BMCs' network, which is the relay alone. */
function plug(): void {
  const inRack = `-n ${lab.netns.name}`;
  ip(`netns add ${machine}`);
  ip(`-n ${machine} link set lo up`);
  ip(`link add ${card} netns ${machine} type veth peer name uplink netns ${lab.netns.name}`);
  ip(`link add bmc0 netns ${machine} type veth peer name bmcs netns ${lab.netns.name}`);
  // A switch has no address on the link: the lab's own undercloud is not there.
  ip(`${inRack} address flush dev br0`);
  ip(`${inRack} link set uplink master br0 up`);
  ip(`${inRack} address add ${bmcAddress}/24 dev bmcs`);
  ip(`${inRack} link set bmcs up`);
  ip(`-n ${machine} address add 203.0.113.254/24 dev bmc0`);
  ip(`-n ${machine} link set bmc0 up`);
  ip(`-n ${machine} address add 198.51.100.1/24 dev ${card}`);
  ip(`-n ${machine} link set ${card} up`);
  const node = lab.nodes[0];
  const from = `UDP4-LISTEN:623,bind=${bmcAddress},fork`;
  const to = `UDP4:${node?.bmc.address}:${node?.bmc.port}`;
  relay = enterNamespace(lab.netns.file, () =>
    spawn('socat', ['-T', '600', from, to], { stdio: 'ignore', detached: true }),
  );
}

const template = `heat_template_version: 2021-04-16
resources:
  server:
    type: OS::Nova::Server
    properties:
      name: wired
      image: lab
      flavor: baremetal
      networks: [{network: ctlplane}]
      user_data_format: SOFTWARE_CONFIG
      # Past the firmware: this rack's image and nodes allow it.
      scheduler_hints: {hand_over: kexec}
  look:
    type: OS::Heat::SoftwareConfig
    properties:
      group: script
      outputs: [{name: link}]
      config: |
        #!/bin/sh
        ip -4 -br address show scope global >"$heat_outputs_path.link"
  report:
    type: OS::Heat::SoftwareDeployment
    properties:
      config: {get_resource: look}
      server: {get_resource: server}
outputs:
  link: {value: {get_attr: [report, link]}}
`;

beforeAll(async () => {
  // The service user has to pass through.
  chmodSync(scratch, 0o755);
  for (const dir of [state, paths.cache, rack]) mkdirSync(dir, { recursive: true });
  // A machine behind these two cables has no way to Debian's archive; it finds here what it would have fetched.
  await buildRamdisk({ profile: 'hardware', out: join(paths.cache, 'ramdisks'), cache: join(paths.cache, 'builder') });
  const built = await run(launcher, ['image', 'build', 'lab', '--no-register', '--state', state]);
  expect(built.code, built.stderr).toBe(0);
  lab = await labUp({ stateDir: rack, nodes: 1 });
  plug();
}, 10 * minutes);

afterAll(async () => {
  await stopServices(state);
  // It forks for each session: the whole group ends.
  if (relay?.pid) process.kill(-relay.pid);
  await labDown({ stateDir: rack });
  ip(`netns del ${machine}`);
  rmSync(scratch, { recursive: true, force: true });
  expect(existsSync(labNetns(rack).file)).toBe(false);
}, 3 * minutes);

describe('an undercloud with a provisioning interface', () => {
  it('refuses an interface that is not there, and one whose address is another', async () => {
    const bootstrap = (...args: string[]) => there(launcher, 'bootstrap', '--state', join(scratch, 'none'), ...args);
    const missing = await bootstrap('--provisioning-interface', 'nope0');
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toMatch(/there is no interface nope0.*`ip link`/s);
    const other = await bootstrap('--provisioning-interface', card, '--provisioning-address', '192.0.2.9/24');
    expect(other.code).not.toBe(0);
    expect(other.stderr).toMatch(/prov0 does not have the address 192\.0\.2\.9.*ip address add 192\.0\.2\.9\/24/s);
    expect(existsSync(join(scratch, 'none'))).toBe(false);
  });

  it(
    'is made by bootstrap, with the ramdisk for hardware, and serves unprivileged',
    async () => {
      await well(launcher, 'bootstrap', '--provisioning-interface', card, '--listen', '127.0.0.1:6385');
      expect(existsSync(join(paths.boot, 'ramdisk/hardware/manifest.json'))).toBe(true);
      expect(userOf(standing(state).serve ?? 0)).not.toBe(0);
      const doctor = await there(launcher, 'doctor', '--state', state);
      expect(doctor.stdout).toMatch(/prov0 is up and has 198\.51\.100\.1\/24/);
      expect(doctor.stdout).toMatch(/nobody else answers on prov0/);
    },
    4 * minutes,
  );

  it(
    'enrols a node by its BMC, and lays an image out on it, handed over by kexec because the template asks for it',
    async () => {
      const { nodes } = JSON.parse(readFileSync(lab.instackenv, 'utf8')) as { nodes: Record<string, unknown>[] };
      const instackenv = join(scratch, 'instackenv.json');
      writeFileSync(
        instackenv,
        JSON.stringify({ nodes: nodes.map((node) => ({ ...node, pm_addr: bmcAddress, pm_port: 623 })) }),
      );
      await well(launcher, 'node', 'import', instackenv);
      await well(launcher, 'image', 'build', 'lab');
      const file = join(scratch, 'wired.hot.yaml');
      writeFileSync(file, template);
      const said = await well(overcloud, 'deploy', file, '--name', 'wired');
      expect(said).toMatch(/198\.51\.100\.\d+\/24/);
      const timeline = await well(launcher, 'node', 'timeline', String(nodes[0]?.name));
      expect(timeline).toMatch(/start the written system by kexec \[took/);
      expect(timeline).not.toMatch(/power on, was off ← start the written system/);
      expect(timeline).toMatch(/→ active/);
    },
    15 * minutes,
  );

  it(
    'takes the node back',
    async () => {
      await well(overcloud, 'delete', 'wired');
      expect(await well(launcher, 'node', 'list')).toMatch(/available/);
      expect(inMachine('address', 'show')).not.toContain('169.254');
    },
    3 * minutes,
  );

  it('leaves nothing of itself on the machine’s network when it is stopped', async () => {
    expect(inMachine('rule', 'show')).toContain('169.254.169.254');
    await well(launcher, 'stop');
    expect(inMachine('rule', 'show')).not.toContain('169.254.169.254');
    expect(inMachine('route', 'show', 'table', 'all')).not.toContain('169.254.169.254');
  });
});
