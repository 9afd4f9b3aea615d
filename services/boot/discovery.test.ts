import { expect, it } from 'vitest';
import { fourWay, intent, macOf, nodeUuid, type Scene, scene, sent } from '../../test/setup/boot-scene.ts';
import { discover } from '../agent/discovery.ts';
import { createSimulatedHardware } from '../agent/simulated.ts';
import { createUndercloudClient } from '../agent/undercloud-client.ts';

const discovering = { provisioning: { unknownMachines: 'discover' as const, bmcNetworks: ['127.9.0.0/28'] } };
const candidatesUrl = ({ base }: Scene, path = '') => `${base}/api/v1/candidates${path}`;
const token = { 'x-auth-token': 'any' };
const candidatesOf = async (stage: Scene) =>
  ((await (await fetch(candidatesUrl(stage), { headers: token })).json()) as { candidates: Record<string, unknown>[] })
    .candidates;

/** The machine boots, and the script tells how its ramdisk is to report. */
async function booted(stage: Scene, discover_ = sent('bios-ipxe-rom', 'DISCOVER')) {
  const ack = await fourWay(stage.dhcp, discover_);
  const path = new URL(ack.file).pathname;
  const script = await (await fetch(`${stage.base}${path}`)).text();
  return { ack, script, bootToken: /uc-boot-token=(\S+)/.exec(script)?.[1] ?? '' };
}

async function report(stage: Scene, bootToken: string, mac: string, bmcAddress?: string) {
  const ends: string[] = [];
  await discover({
    hardware: createSimulatedHardware({
      disks: [],
      addresses: [mac, '52:54:00:bb:00:02'],
      ...(bmcAddress !== undefined && { bmcAddress }),
      onEnd: (end) => void ends.push(end),
    }),
    client: createUndercloudClient({ urls: [], bootToken }),
    url: `${stage.base}/api/v1/discovered`,
    lldpSeconds: 1,
    neighbours: async () =>
      new Map([
        [
          'eth0',
          [
            [1, '04525400000099'],
            [2, `05${Buffer.from('swp7').toString('hex')}`],
            [5, Buffer.from('leaf-1').toString('hex')],
            [8, '0501c0000263020000000100'],
          ],
        ],
      ]),
    log: () => {},
    attempts: 1,
  });
  return ends;
}

it('gives an unknown machine nothing at all, where the policy does not say otherwise', async () => {
  const stage = await scene();
  stage.dhcp.put(sent('bios-ipxe-rom', 'DISCOVER'));
  const event = await stage.world.heard('boot.unknown-machine');
  expect(event.data.text).toContain('nothing was answered');
  expect(stage.dhcp.unread).toBe(0);
  expect(await candidatesOf(stage)).toEqual([]);
});

it('discovers a machine by its boot: inventory, BMC, switch; and switches it off', async () => {
  const stage = await scene(discovering);
  const discover_ = sent('bios-ipxe-rom', 'DISCOVER');
  const mac = macOf(discover_);
  const { script, bootToken } = await booted(stage, discover_);
  expect(script).toContain(`Undercloud: ${mac} starts the deploy ramdisk`);
  expect(script).toContain(
    'ipa-inspection-callback-url=https://127.0.0.254:6385/boot/v1/discovered uc-lldp-seconds=31',
  );
  expect(script).not.toContain('ipa-api-url');
  expect(await candidatesOf(stage)).toMatchObject([{ mac, state: 'booting' }]);

  expect(await report(stage, bootToken, mac, '192.0.2.200')).toEqual(['power off']);
  const found = await stage.world.heard('boot.machine-discovered');
  expect(found.data.text).toMatch(
    /^Undercloud Simulated \(.*, 2 network cards, BMC 192\.0\.2\.200\) was discovered on br0/,
  );
  expect(await candidatesOf(stage)).toMatchObject([
    {
      mac,
      state: 'reported',
      macs: [mac, '52:54:00:bb:00:02'],
      vendor: 'Undercloud',
      bmc_address: '192.0.2.200',
      boot_mode: 'bios',
      neighbours: {
        eth0: { chassis: '52:54:00:00:00:99', port: 'swp7', system: 'leaf-1', managementAddress: '192.0.2.99' },
      },
    },
  ]);
  // What it did is its own story.
  const one = (await (await fetch(candidatesUrl(stage, `/${mac}`), { headers: token })).json()) as {
    events: { kind: string }[];
  };
  const kinds = one.events.map(({ kind }) => kind);
  for (const kind of ['dhcp.exchange', 'boot.decision', 'http.fetch', 'boot.machine-discovered'])
    expect(kinds).toContain(kind);
  // From now on it boots what else it has, and its running system gets its address.
  const again = await fourWay(stage.dhcp, discover_);
  expect([again.file, again.yiaddr]).toEqual(['', 0x7f000001]);
  expect(JSON.stringify(await candidatesOf(stage))).not.toContain(bootToken);
});

it('accepts a candidate as a node with what was found, and says what is missing', async () => {
  const imports: unknown[] = [];
  const stage = await scene({ ...discovering, onImport: (instackenv) => void imports.push(instackenv) });
  const discover_ = sent('bios-ipxe-rom', 'DISCOVER');
  const mac = macOf(discover_);
  const accept = async (body: object) => {
    const answer = await fetch(candidatesUrl(stage, `/${mac}/accept`), {
      method: 'POST',
      headers: { ...token, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const { bootToken } = await booted(stage, discover_);
  expect(await accept({})).toMatchObject({ status: 409, text: expect.stringContaining('still boots the ramdisk') });
  await report(stage, bootToken, mac);
  expect(await accept({})).toMatchObject({ status: 409, text: expect.stringContaining('Give it with --address') });
  expect(await accept({ address: '192.0.2.200' })).toMatchObject({
    status: 409,
    text: expect.stringContaining('--username'),
  });
  expect(await accept({ color: 'red' })).toMatchObject({ status: 400 });
  const made = await accept({ address: '192.0.2.200', username: 'admin', password: 'secret', name: 'node-7' });
  expect(made.status).toBe(202);
  expect(imports).toEqual([
    {
      nodes: [
        {
          name: 'node-7',
          pm_type: 'ipmi',
          pm_addr: '192.0.2.200',
          pm_user: 'admin',
          pm_password: 'secret',
          ports: [{ address: mac, physical_network: 'ctlplane' }],
          cpu: '1',
          memory: '512',
          arch: 'x86_64',
          capabilities: 'boot_mode:bios',
        },
      ],
    },
  ]);
  expect(await candidatesOf(stage)).toEqual([]);
  // The node keeps the address that the stranger had.
  stage.intents.set(mac, intent('disk'));
  expect(
    (await fourWay(stage.dhcp, sent('busybox-udhcpc-os', 'DISCOVER', 0).fill(discover_.subarray(28, 34), 28, 34)))
      .yiaddr,
  ).toBe(0x7f000001);
  expect(nodeUuid).toBeTruthy();
});

it('takes a report with the right token and card alone, and no rubbish', async () => {
  const stage = await scene(discovering);
  const discover_ = sent('bios-ipxe-rom', 'DISCOVER');
  const { bootToken } = await booted(stage, discover_);
  const post = async (headers: Record<string, string>, body: string) => {
    const answer = await fetch(`${stage.base}/api/v1/discovered`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    return answer.status;
  };
  const key = { 'x-undercloud-boot-token': bootToken };
  const inventory = (mac: string) => JSON.stringify({ inventory: { interfaces: [{ mac_address: mac }] } });
  expect(await post({}, inventory(macOf(discover_)))).toBe(403);
  expect(await post({ 'x-undercloud-boot-token': 'another' }, inventory(macOf(discover_)))).toBe(403);
  expect(await post(key, inventory('52:54:00:ff:ff:ff'))).toBe(403);
  for (const body of ['null', '[]', '{}', '{"inventory":7}', '{"inventory":{"interfaces":[null,{"mac_address":{}}]}}'])
    expect([body, await post(key, body)]).toEqual([body, 403]);
  expect(await post(key, '{')).toBe(400);
  expect(await post(key, inventory(macOf(discover_)))).toBe(202);
});

it('forgets a candidate with its address, and discovers it anew', async () => {
  const stage = await scene(discovering);
  const discover_ = sent('bios-ipxe-rom', 'DISCOVER');
  const mac = macOf(discover_);
  const first = await booted(stage, discover_);
  await report(stage, first.bootToken, mac);
  expect((await fetch(candidatesUrl(stage, `/${mac}`), { method: 'DELETE', headers: token })).status).toBe(204);
  expect((await fetch(candidatesUrl(stage, `/${mac}`), { method: 'DELETE', headers: token })).status).toBe(404);
  expect(await stage.network.addressOf(mac)).toBeNull();
  const second = await booted(stage, discover_);
  expect(second.bootToken).not.toBe(first.bootToken);
});

it('takes in no system that runs, and no more machines at a time than it should', async () => {
  const stage = await scene(discovering);
  stage.dhcp.put(sent('busybox-udhcpc-os', 'DISCOVER'));
  await stage.world.heard('boot.unknown-machine');
  expect(await candidatesOf(stage)).toEqual([]);
  const rom = sent('bios-ipxe-rom', 'DISCOVER');
  for (let i = 0; i < 64; i += 1) {
    rom[33] = i;
    // The pool of the stage has 62 addresses; that there is none left must not end anything either.
    stage.dhcp.put(Buffer.from(rom));
  }
  await expect.poll(async () => (await candidatesOf(stage)).length, { timeout: 20_000 }).toBe(64);
  rom[33] = 0xee;
  stage.dhcp.put(Buffer.from(rom));
  const trouble = await stage.world.heard('boot.trouble', (event) => event.data.text.includes('not taken in'));
  expect(trouble.data.text).toContain('64 machines are at it already');
});

it('needs an admin', async () => {
  const stage = await scene(discovering);
  expect((await fetch(candidatesUrl(stage))).status).toBe(401);
});
