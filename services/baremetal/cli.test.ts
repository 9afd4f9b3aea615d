/** The stock `baremetal` client (python3-ironicclient) against the API on loopback: what it sends, and its exit codes. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRack, type Rack } from '../../test/setup/rack.ts';
import { createWorld, type World } from '../../test/setup/world.ts';

const run = promisify(execFile);
let world: World;
let rack: Rack;
let url: string;
const home = mkdtempSync(join(tmpdir(), 'uc-cli-'));

beforeAll(async () => {
  world = await createWorld({ keep: true });
  rack = await createRack();
  ({ url } = await rack.attach(world));
  await world.operations.run();
});
afterAll(async () => {
  await rack.close();
  await world.close();
  rmSync(home, { recursive: true, force: true });
});

/** The client keeps the negotiated version on disk under HOME, which must not be the machine's. */
async function baremetal(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { PATH: '/usr/bin:/bin', HOME: home, XDG_CACHE_HOME: home, LANG: 'C.UTF-8' };
  const all = ['--os-auth-type', 'none', '--os-endpoint', `${url}/baremetal`, ...args];
  try {
    const { stdout, stderr } = await run('/usr/bin/baremetal', all, { env });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}
/** Must end well; the client's own words otherwise. */
const well = async (...args: string[]): Promise<string> => {
  const { code, out, err } = await baremetal(...args);
  expect(code, err).toBe(0);
  return out;
};
const json = async (...args: string[]) => {
  const { code, out, err } = await baremetal(...args, '-f', 'json');
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out);
};

/** Each call starts a Python interpreter: a second on a quiet machine, three on a busy one. */
describe('the baremetal client', { timeout: 240_000 }, () => {
  it('enrols, verifies, provides, deploys and takes back a node', async () => {
    const machine = rack.machine();
    const made = await json(
      'node',
      'create',
      '--driver',
      'fake-hardware',
      '--name',
      'n1',
      '--uuid',
      machine.uuid,
      '--resource-class',
      'baremetal',
      '--deploy-interface',
      'direct',
      '--driver-info',
      'fake_password=hidden',
      '--property',
      'cpus=4',
      '--extra',
      'rack=7',
    );
    expect(made).toMatchObject({
      uuid: machine.uuid,
      provision_state: 'enroll',
      driver_info: { fake_password: '******' },
    });
    expect(JSON.stringify(made)).not.toContain('hidden');
    const port = await json('port', 'create', '--node', machine.uuid, machine.mac);
    expect(port).toMatchObject({ address: machine.mac, node_uuid: machine.uuid, pxe_enabled: true });
    for (const verb of ['manage', 'provide']) {
      const done = await baremetal('node', verb, 'n1', '--wait', '60');
      expect(done.code, done.err).toBe(0);
      expect(done.out).toContain('Waiting for provision state');
    }
    await well('node', 'set', 'n1', '--instance-info', 'image_source=test-image');
    // Not --wait: the client looks every ten seconds.
    await well('node', 'deploy', 'n1');
    await world.heard('operation.succeeded', ({ data }) => data.kind === 'baremetal.deploy');
    expect(await json('node', 'show', 'n1', '--fields', 'provision_state', 'power_state', 'last_error')).toEqual({
      provision_state: 'active',
      power_state: 'power on',
      last_error: null,
    });
    expect(await json('node', 'list')).toEqual([
      {
        UUID: machine.uuid,
        Name: 'n1',
        'Instance UUID': null,
        'Power State': 'power on',
        'Provisioning State': 'active',
        Maintenance: false,
      },
    ]);
    await well('node', 'undeploy', 'n1');
    await world.heard('operation.succeeded', ({ data }) => data.kind === 'baremetal.undeploy');
    const gone = await baremetal('node', 'delete', 'n1');
    expect(gone).toMatchObject({ code: 0, out: 'Deleted node n1\n' });
  });

  it('changes, lists and manages', async () => {
    await json('node', 'create', '--driver', 'fake-hardware', '--name', 'n2');
    expect(
      (await baremetal('node', 'set', 'n2', '--property', 'a=1', '--owner', 'p2', '--description', 'x')).code,
    ).toBe(0);
    await well('node', 'unset', 'n2', '--property', 'a');
    await well('node', 'maintenance', 'set', 'n2', '--reason', 'broken fan');
    expect(
      await json('node', 'show', 'n2', '--fields', 'maintenance', 'maintenance_reason', 'owner', 'properties'),
    ).toEqual({
      maintenance: true,
      maintenance_reason: 'broken fan',
      owner: 'p2',
      properties: {},
    });
    await well('node', 'maintenance', 'unset', 'n2');
    await well('node', 'boot', 'device', 'set', 'n2', 'disk', '--persistent');
    expect(await json('node', 'boot', 'device', 'show', 'n2')).toEqual({ boot_device: 'disk', persistent: true });
    await well('node', 'power', 'on', 'n2');
    await well('node', 'add', 'trait', 'n2', 'CUSTOM_A', 'HW_CPU_X86_VMX');
    expect(await json('node', 'trait', 'list', 'n2')).toEqual([{ Traits: 'CUSTOM_A' }, { Traits: 'HW_CPU_X86_VMX' }]);
    await well('node', 'vif', 'attach', 'n2', 'net-port-1');
    expect(await json('node', 'vif', 'list', 'n2')).toEqual([{ ID: 'net-port-1' }]);
    await well('node', 'validate', 'n2');
    expect((await json('driver', 'list')).map((d: Record<string, unknown>) => d['Supported driver(s)'])).toEqual([
      'fake-hardware',
      'ipmi',
      'redfish',
    ]);
    await well('driver', 'show', 'ipmi');
    expect((await baremetal('driver', 'property', 'list', 'ipmi')).out).toContain('ipmi_address');
    expect((await json('conductor', 'list'))[0]).toMatchObject({ Hostname: 'undercloud', Alive: true });
  });

  it('tells the truth of a console: kept open or not, and where it is', async () => {
    const { uuid } = await json('node', 'create', '--driver', 'fake-hardware', '--name', 'talkative');
    expect(await json('node', 'console', 'show', 'talkative')).toEqual({ console_enabled: false, console_info: null });
    await well('node', 'console', 'enable', 'talkative');
    const { console_enabled: enabled, console_info: info } = await json('node', 'console', 'show', 'talkative');
    expect(enabled).toBe(true);
    expect(info).toEqual({
      type: 'websocket',
      url: `${url.replace('http', 'ws')}/baremetal/v1/nodes/${uuid}/console`,
    });
    expect((await json('node', 'show', uuid)).console_enabled).toBe(true);
    await json('node', 'create', '--driver', 'fake-hardware', '--name', 'mute', '--console-interface', 'no-console');
    const refused = await baremetal('node', 'console', 'enable', 'mute');
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain('does not support console');
    await well('node', 'console', 'disable', 'talkative');
    expect((await json('node', 'console', 'show', uuid)).console_enabled).toBe(false);
  });

  it('fails with Ironic’s sentences and a code that is not zero', async () => {
    const none = await baremetal('node', 'show', 'nosuch');
    expect(none).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^Node nosuch could not be found\. \(HTTP 404\)/),
    });
    const driver = await baremetal('node', 'create', '--driver', 'idrac');
    expect(driver.code).toBe(1);
    expect(driver.err).toMatch(
      /No conductor service registered which supports driver idrac.*this release has ipmi, fake-hardware, redfish/,
    );
    await json('node', 'create', '--driver', 'fake-hardware', '--name', 'n3');
    const verb = await baremetal('node', 'provide', 'n3');
    expect(verb.err).toMatch(
      /The requested action "provide" can not be performed on node ".*" while it is in state "enroll"\. \(HTTP 400\)/,
    );
    const old = await baremetal('--os-baremetal-api-version', '1.200', 'node', 'list');
    expect(old.code).toBe(1);
    expect(old.err).toContain('Supported version range is 1.1 to 1.78');
  });
});
