import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRack } from '../../test/setup/rack.ts';
import { createWorld } from '../../test/setup/world.ts';
import { createBmcSession } from '../ipmi/index.ts';
import { serveVirtualRedfish } from '../lab/index.ts';
import { readInstackenv } from './instackenv.ts';

async function setUp() {
  const rack = await createRack();
  const world = await createWorld({ keep: true });
  onTestFinished(async () => {
    await rack.close();
    await world.close();
  });
  /** MACs whose address the network was told to give back. */
  const forgotten: string[] = [];
  const forgetAddress = async (_tx: unknown, mac: string) => void forgotten.push(mac);
  const { baremetal, url } = await rack.attach(world, { network: { forgetAddress } });
  await world.operations.run();
  return { rack, world, baremetal, url, forgotten };
}

const node = (n: number, more: Record<string, unknown> = {}) => ({
  name: `n${n}`,
  pm_type: 'fake-hardware',
  pm_addr: `127.1.0.${n}`,
  pm_user: 'admin',
  pm_password: 'secret',
  ports: [{ address: `52:54:00:00:00:0${n}` }],
  cpu: '2',
  memory: '2048',
  disk: 20,
  arch: 'x86_64',
  capabilities: 'boot_mode:bios',
  ...more,
});

describe('instackenv.json', () => {
  it('is read as TripleO wrote it', () => {
    const [entry] = readInstackenv({
      nodes: [
        node(1, {
          pm_type: 'pxe_ipmitool',
          pm_port: '6230',
          mac: ['52:54:00:AA:00:01'],
          ports: undefined,
          profile: 'compute',
          platform: 'x',
          kernel_id: 'k',
          root_device: { serial: 's' },
          deploy_interface: 'direct',
        }),
      ],
    });
    expect(entry).toMatchObject({
      where: 'node 1 (“n1”)',
      driver: 'ipmi',
      bmc: '127.1.0.1:6230',
      driverInfo: {
        ipmi_address: '127.1.0.1',
        ipmi_port: 6230,
        ipmi_username: 'admin',
        deploy_kernel: 'k',
        rescue_kernel: 'k',
      },
      properties: {
        cpus: 2,
        memory_mb: 2048,
        local_gb: 20,
        cpu_arch: 'x86_64',
        capabilities: 'boot_mode:bios,profile:compute',
        root_device: { serial: 's' },
      },
      extra: { tripleo_platform: 'x' },
      resourceClass: 'baremetal',
      interfaces: { deploy: 'direct' },
      ports: [{ address: '52:54:00:aa:00:01', physicalNetwork: 'ctlplane' }],
    });
  });

  it('has Redfish nodes, several of them behind one BMC', () => {
    const entries = readInstackenv({
      nodes: [
        node(1, {
          pm_type: 'redfish',
          pm_addr: 'bmc.example',
          pm_system_id: '/redfish/v1/Systems/1',
          pm_verify_ca: false,
        }),
        node(2, {
          pm_type: 'redfish',
          pm_addr: 'https://bmc.example',
          pm_port: 8443,
          pm_system_id: '/redfish/v1/Systems/2',
        }),
        node(3, {
          pm_type: 'redfish',
          pm_addr: 'https://bmc.example',
          pm_port: '8443',
          pm_system_id: '/redfish/v1/Systems/3',
        }),
        node(4, { pm_type: 'redfish', pm_addr: '2001:db8::4', pm_port: 444, pm_auth_type: 'basic' }),
      ],
    });
    expect(entries.map(({ driver, bmc, driverInfo }) => ({ driver, bmc, driverInfo }))).toEqual([
      {
        driver: 'redfish',
        bmc: 'bmc.example:443 /redfish/v1/Systems/1',
        driverInfo: {
          redfish_address: 'bmc.example',
          redfish_system_id: '/redfish/v1/Systems/1',
          redfish_username: 'admin',
          redfish_password: 'secret',
          redfish_verify_ca: 'False',
        },
      },
      expect.objectContaining({ bmc: 'bmc.example:8443 /redfish/v1/Systems/2' }),
      expect.objectContaining({ bmc: 'bmc.example:8443 /redfish/v1/Systems/3' }),
      expect.objectContaining({
        bmc: '[2001:db8::4]:444',
        driverInfo: expect.objectContaining({
          redfish_address: 'https://[2001:db8::4]:444',
          redfish_auth_type: 'basic',
        }),
      }),
    ]);
  });

  const bad: [string, unknown, RegExp][] = [
    ['no list', {}, /the file: it has no list “nodes”/],
    ['a node that is no object', { nodes: [7] }, /node 1: it is 7, no object/],
    ['no pm_type', { nodes: [node(1, { pm_type: null })] }, /node 1 \(“n1”\): pm_type is missing/],
    [
      'an unknown pm_type',
      { nodes: [node(1, { pm_type: 'telepathy' })] },
      /node 1 \(“n1”\): pm_type "telepathy" is not known/,
    ],
    [
      'a driver of a vendor',
      { nodes: [node(1, { pm_type: 'idrac' })] },
      /pm_type "idrac" is not in this release\. Use ipmi or redfish/,
    ],
    [
      'a Redfish service that is no URL',
      { nodes: [node(1, { pm_type: 'redfish', pm_addr: 'https://', pm_port: 8443 })] },
      /node 1 \(“n1”\): pm_addr is "https:\/\/", no URL/,
    ],
    [
      'a Redfish system twice',
      {
        nodes: [1, 2].map((n) =>
          node(n, { pm_type: 'redfish', pm_addr: ['https://b1', 'B1:443'][n - 1], pm_system_id: ['/a', '/a/'][n - 1] }),
        ),
      },
      /its BMC b1:443 \/a is also that of node 1/,
    ],
    [
      'no pm_addr',
      { nodes: [node(1), node(2, { pm_type: 'ipmi', pm_addr: '' })] },
      /node 2 \(“n2”\): pm_addr is missing/,
    ],
    [
      'a MAC that is none',
      { nodes: [node(1, { mac: ['zz'], ports: undefined })] },
      /node 1 \(“n1”\): "zz" is no MAC address/,
    ],
    [
      'a MAC twice',
      { nodes: [node(1), node(2, { ports: [{ address: '52-54-00-00-00-01' }] })] },
      /node 2 \(“n2”\): its MAC 52:54:00:00:00:01 is also that of node 1 \(“n1”\)\. .*correct the MAC/,
    ],
    [
      'a BMC twice',
      { nodes: [node(1), node(2, { pm_addr: '127.1.0.1' })] },
      /its BMC 127\.1\.0\.1:623 is also that of node 1/,
    ],
    ['a port that is none', { nodes: [node(1, { pm_port: 99_999 })] }, /pm_port is 99999, no port number/],
    ['a number that is none', { nodes: [node(1, { cpu: 'two' })] }, /cpu is "two", no whole number/],
  ];
  for (const [what, file, sentence] of bad)
    it(`refuses ${what} in one sentence`, () => {
      expect(() => readInstackenv(file)).toThrow(sentence);
    });
});

/** An IPMI BMC on loopback that knows who it is and that its machine is off. */
async function startBmc(): Promise<number> {
  const bmc = createBmcSession({
    guid: Buffer.alloc(16, 9),
    users: () => [{ name: 'admin', password: 'secret', privilege: 'administrator' }],
    handle: (netfn, cmd) =>
      netfn === 0 && cmd === 1
        ? { completionCode: 0, data: Uint8Array.of(0, 0, 0) }
        : netfn === 6 && cmd === 1
          ? { completionCode: 0, data: Uint8Array.of(0x20, 1, 2, 0x10, 2, 0xbf, 0x57, 1, 0, 0x51, 0) }
          : { completionCode: 0xc1 },
  });
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  socket.on('message', (datagram, from) => {
    bmc.receive(datagram, `${from.address}:${from.port}`, (answer) => socket.send(answer, from.port, from.address));
  });
  onTestFinished(() => void socket.close());
  return (socket.address() as AddressInfo).port;
}

describe('import', () => {
  it('proves IPMI credentials: the right password makes a node available, a wrong one leaves nothing', async () => {
    const { world, baremetal } = await setUp();
    const pm_port = await startBmc();
    const real = { pm_type: 'ipmi', pm_addr: '127.0.0.1', pm_port };
    const [wrong] = await baremetal.importNodes(world.context, {
      nodes: [node(1, { ...real, pm_password: 'mistyped' })],
    });
    const failed = await world.operations.ended(wrong?.operation ?? '');
    expect(failed.error?.message).toMatch(
      /^The BMC 127\.0\.0\.1:\d+ of node n1 refuses the user admin: .*Correct the user name and password/,
    );
    expect(JSON.stringify(failed)).not.toContain('mistyped');
    expect(await baremetal.listNodes(world.context)).toEqual([]);
    const [right] = await baremetal.importNodes(world.context, { nodes: [node(1, real)] });
    expect((await world.operations.ended(right?.operation ?? '')).error).toBeNull();
    expect(await baremetal.listNodes(world.context)).toMatchObject([
      { name: 'n1', provisionState: 'available', powerState: 'off', driverInternalInfo: { bmc_firmware: '2.10' } },
    ]);
  });

  it('proves Redfish credentials the same way, and finds the one of several systems that is named', async () => {
    const { world, baremetal } = await setUp();
    const bmc = await serveVirtualRedfish({ flavour: 'dell' });
    onTestFinished(() => bmc.close());
    const real = { pm_type: 'redfish', pm_addr: bmc.address, pm_password: 'secret-1' };
    const failed = async (more: Record<string, unknown>) => {
      const [made] = await baremetal.importNodes(world.context, { nodes: [node(1, { ...real, ...more })] });
      const { error } = await world.operations.ended(made?.operation ?? '');
      expect(await baremetal.listNodes(world.context)).toEqual([]);
      return error?.message;
    };
    const wrong = await failed({ pm_password: 'mistyped-1' });
    expect(wrong).toMatch(
      /^The BMC 127\.0\.0\.1:\d+ of node n1 refuses the user admin: .*Correct the user name and password/,
    );
    expect(wrong).not.toContain('mistyped-1');
    expect(await failed({ pm_system_id: '/redfish/v1/Systems/none' })).toMatch(
      /Set redfish_system_id to one of: \/redfish\/v1\/Systems\/System\.Embedded\.1/,
    );
    const [right] = await baremetal.importNodes(world.context, { nodes: [node(1, real)] });
    expect((await world.operations.ended(right?.operation ?? '')).error).toBeNull();
    expect(await baremetal.listNodes(world.context)).toMatchObject([
      {
        name: 'n1',
        provisionState: 'available',
        powerState: 'off',
        driverInfo: { redfish_address: bmc.address, redfish_password: '******' },
        driverInternalInfo: { bmc_firmware: '4.40.00.00' },
      },
    ]);
  });

  it('enrols, verifies and provides, and is safe to repeat', async () => {
    const { world, baremetal } = await setUp();
    const file = { nodes: [node(1), node(2)] };
    const first = await baremetal.importNodes(world.context, file);
    expect(first.map(({ action }) => action)).toEqual(['create', 'create']);
    for (const { operation } of first) expect((await world.operations.ended(operation ?? '')).error).toBeNull();
    const nodes = await baremetal.listNodes(world.context);
    expect(nodes.map(({ name, provisionState, powerState }) => [name, provisionState, powerState])).toEqual([
      ['n1', 'available', 'off'],
      ['n2', 'available', 'off'],
    ]);
    expect(nodes[0]?.driverInfo.fake_password).toBe('******');
    const again = await baremetal.importNodes(world.context, file);
    expect(again).toEqual(nodes.map(({ uuid, name }) => ({ uuid, name, action: 'keep', operation: null })));
    expect((await baremetal.listNodes(world.context)).length).toBe(2);
  });

  it('refuses a MAC of another machine, and leaves nothing', async () => {
    const { world, baremetal } = await setUp();
    const made = await baremetal.importNodes(world.context, { nodes: [node(1)] });
    await world.operations.ended(made[0]?.operation ?? '');
    await expect(
      baremetal.importNodes(world.context, {
        nodes: [node(3), node(2, { ports: [{ address: '52:54:00:00:00:01' }] })],
      }),
    ).rejects.toThrow(
      /node 2 \(“n2”\): its MAC 52:54:00:00:00:01 is already that of node n1, whose BMC is 127\.1\.0\.1:623/,
    );
    expect((await baremetal.listNodes(world.context)).map(({ name }) => name)).toEqual(['n1']);
  });

  it('removes a node again whose BMC does not answer, says why, and keeps its neighbours', async () => {
    const { world, rack, baremetal, url, forgotten } = await setUp();
    const uuid = '99999999-9999-4999-8999-999999999999';
    rack.fakes.machine(uuid).failing = 'no answer to 5 datagrams';
    const answer = await fetch(`${url}/baremetal/v1/nodes/import`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nodes: [node(1), node(2, { uuid })] }),
    });
    expect(answer.status).toBe(202);
    const { nodes } = (await answer.json()) as { nodes: { uuid: string; operation: string }[] };
    for (const { operation } of nodes) await world.operations.ended(operation);
    expect((await baremetal.listNodes(world.context)).map(({ name }) => name)).toEqual(['n1']);
    const told = (await (await fetch(`${url}/baremetal/v1/nodes/${uuid}/activity`)).json()) as {
      last: { error: string };
    };
    expect(told.last.error).toMatch(
      /The BMC 127\.1\.0\.2:623 of node n2 does not answer: no answer to 5 datagrams\..*Check its address/,
    );
    const { events } = (await (await fetch(`${url}/baremetal/v1/nodes/${uuid}/timeline`)).json()) as {
      events: { kind: string }[];
    };
    expect(events.map(({ kind }) => kind)).toContain('node.deleted');
    expect(forgotten).toEqual(['52:54:00:00:00:02']);
  });

  it('gives the addresses of a node’s MACs back when the node or one of its ports is deleted', async () => {
    const { world, baremetal, url, forgotten } = await setUp();
    const [made] = await baremetal.importNodes(world.context, {
      nodes: [node(1, { ports: [{ address: '52:54:00:00:00:01' }, { address: '52:54:00:00:00:11' }] })],
    });
    const uuid = made?.uuid ?? '';
    await world.operations.ended(made?.operation ?? '');
    const [first] = await baremetal.portsOf(uuid);
    const answer = await fetch(`${url}/baremetal/v1/ports/${first?.uuid}`, { method: 'DELETE' });
    expect(answer.status).toBe(204);
    expect(forgotten).toEqual([first?.address]);
    await baremetal.deleteNode(world.context, uuid);
    expect(forgotten.toSorted()).toEqual(['52:54:00:00:00:01', '52:54:00:00:00:11']);
  });
});
