import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { createApiRoutes } from '../../boot/api-routes.ts';
import { type BmcCredentials, checkScan, type FoundBmc } from '../../boot/bmc-scan.ts';
import { type Candidates, createCandidates } from '../../boot/candidates.ts';
import { pcapHeader } from '../../boot/pcap.ts';
import { createNetwork } from '../../network/index.ts';
import { exitCodes } from '../exit.ts';

const mac = '52:54:00:bb:00:01';
const bmc = (address: string, credentials: BmcCredentials | null): FoundBmc => ({
  address,
  protocols: ['ipmi'],
  ipmiVersion: '2.0',
  redfishVersion: null,
  vendor: 'Maker',
  product: 'Model',
  serial: null,
  systemUuid: null,
  username: credentials?.username ?? null,
  refusal: credentials ? null : 'the BMC holds another password for this user',
  credentials,
});

describe('machines that nobody has enrolled, from the command line', () => {
  let site: Appliance;
  let candidates: Candidates;
  beforeAll(async () => {
    site = await createAppliance({
      mount(api, { world, authenticate, baremetal }) {
        candidates = createCandidates({
          house: world,
          network: createNetwork(world, { authenticate }),
          // The machines of this appliance have BMCs that are not there.
          enroller: {
            importNodes: (context, instackenv, options) =>
              baremetal.importNodes(
                context,
                JSON.parse(JSON.stringify(instackenv).replace('"pm_type":"ipmi"', '"pm_type":"fake"')),
                options,
              ),
          },
          policy: 'discover',
          interfaceOf: () => 'br0',
          onChange: () => {},
        });
        api.register(
          createApiRoutes({
            authenticate,
            candidates,
            interface: 'br0',
            foreign: () => [],
            policy: 'report',
            advertises: true,
            async scan(cidr, credentials) {
              checkScan({ cidr, credentials, allowed: ['198.51.100.0/24'] });
              return [bmc('198.51.100.7', credentials[0] ?? null), bmc('198.51.100.8', null)];
            },
            story: (mac) => world.recorder.timeline({ type: 'mac', id: mac }),
            async capture() {
              const stream = new PassThrough();
              stream.end(pcapHeader());
              return stream;
            },
          }),
          { prefix: '/boot' },
        );
      },
    });
    return () => site.close();
  });

  it('shows nothing where nothing was found, and how to begin', async () => {
    const ran = await site.run('undercloud', 'node', 'discovered');
    expect(ran).toMatchObject({
      code: exitCodes.ok,
      stdout: expect.stringContaining('undercloud bootstrap --discover'),
    });
  });

  it('scans for BMCs with credentials of a file, and is refused where nobody may look', async () => {
    const file = join(site.dir, 'credentials.yaml');
    writeFileSync(file, '- {username: admin, password: secret}\n');
    const ran = await site.run('undercloud', 'bmc', 'scan', '198.51.100.0/28', '--credentials', file);
    expect(ran.code).toBe(exitCodes.ok);
    expect(ran.stdout).toMatch(/198\.51\.100\.7 +IPMI 2\.0 +Maker Model +admin/);
    expect(ran.stdout).toMatch(/198\.51\.100\.8 .*the BMC holds another password/);
    expect(ran.stdout).not.toContain('secret');
    const refused = await site.run('undercloud', 'bmc', 'scan', '192.0.2.0/24');
    expect(refused.code).toBe(exitCodes.refused);
    expect(refused.stderr).toContain('The network 192.0.2.0/24 is not scanned for BMCs');
    writeFileSync(file, '- {user: admin}\n');
    const wrong = await site.run('undercloud', 'bmc', 'scan', '198.51.100.0/28', '--credentials', file);
    expect(wrong.code).toBe(exitCodes.usage);
  });

  it('accepts a machine with the credentials that the scan has found, and it becomes available', async () => {
    expect(await candidates.takesIn(mac, true)).toBe(true);
    const token = candidates.strangerBoot(mac)?.token ?? '';
    await candidates.reported(token, {
      inventory: {
        interfaces: [{ mac_address: mac }],
        system_vendor: { manufacturer: 'Maker\u001b[31m', product_name: 'M 1' },
      },
    });
    const listed = await site.run('undercloud', 'node', 'discovered');
    expect(listed.stdout).toMatch(/Maker {1,2}\[31m M 1 +52:54:00:bb:00:01/);
    expect(listed.stdout).toContain('accept it with the address of its BMC');
    const one = await site.run('undercloud', 'node', 'discovered', mac);
    expect(one.stdout).toMatch(/found by +its boot from the network/);
    expect(one.stdout).toMatch(/\(52:54:00:bb:00:01, 1 network card, no BMC address known\) was discovered on br0/);

    const incomplete = await site.run('undercloud', 'node', 'accept', mac);
    expect(incomplete.code).not.toBe(exitCodes.ok);
    expect(incomplete.stderr).toContain('the address of its BMC is missing. Give it with --address');
    const made = await site.run('undercloud', 'node', 'accept', mac, '--name', 'found-1', '--address', '198.51.100.7');
    expect(made).toMatchObject({ code: exitCodes.ok, stdout: expect.stringContaining('Enrolled as found-1') });
    await expect
      .poll(async () => (await site.baremetal.findNode(site.world.context, 'found-1')).provisionState, {
        timeout: 20_000,
      })
      .toBe('available');
    const left = JSON.parse((await site.run('undercloud', '--json', 'node', 'discovered')).stdout);
    expect(left).toMatchObject([{ bmc_address: '198.51.100.8', source: 'bmc-scan' }]);
  });

  it('forgets a candidate, and says which are meant where it is none', async () => {
    expect((await site.run('undercloud', 'node', 'forget', '198.51.100.8')).code).toBe(exitCodes.ok);
    const gone = await site.run('undercloud', 'node', 'forget', '198.51.100.8');
    expect(gone.stderr).toContain('See `undercloud node discovered`');
    expect(gone.code).toBe(exitCodes.failed);
  });

  it('writes a capture into a file', async () => {
    const file = join(site.dir, 'boot.pcap');
    const ran = await site.run('undercloud', 'net', 'capture', 'found-1', '--output', file);
    expect(ran).toMatchObject({
      code: exitCodes.ok,
      stdout: expect.stringContaining('24 bytes; read it with `tcpdump -nr'),
    });
    expect(readFileSync(file).equals(pcapHeader())).toBe(true);
    const wrong = await site.run('undercloud', 'net', 'capture', 'found-1', '--seconds', 'all');
    expect(wrong.code).toBe(exitCodes.usage);
  });
});
