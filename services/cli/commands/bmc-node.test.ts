/** `undercloud bmc` and `undercloud node sensors`, `event-log` ... against a virtual BMC, by IPMI, over HTTP. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { serveVirtualBmcs, type VirtualBmcs } from '../../lab/index.ts';
import { exitCodes } from '../exit.ts';

const password = 'pw-Of-The-Test16';

describe('undercloud bmc', () => {
  let site: Appliance;
  let served: VirtualBmcs;
  beforeAll(async () => {
    site = await createAppliance();
    served = await serveVirtualBmcs({
      count: 2,
      users: [{ name: 'root', password, privilege: 'administrator' }],
      serial: 'SN-4711',
    });
    const nodes = served.addresses.map((pm_addr, place) => ({
      ...{ name: `n${place}`, pm_type: 'ipmi', pm_addr, pm_port: served.port, pm_user: 'root', pm_password: password },
      ports: [{ address: `52:54:00:00:01:0${place}` }],
    }));
    const file = join(site.dir, 'nodes.json');
    writeFileSync(file, JSON.stringify({ nodes }));
    expect(await site.run('undercloud', 'node', 'import', file)).toMatchObject({ code: exitCodes.ok });
    return async () => {
      await site.close();
      served.close();
    };
  });
  /** Everything that a command prints, of all commands of this file: no password may be in it. */
  const printed: string[] = [];
  const run = async (...args: string[]) => {
    const ran = await site.run('undercloud', ...args);
    printed.push(ran.stdout, ran.stderr);
    return ran;
  };
  const well = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    expect(code, stderr).toBe(exitCodes.ok);
    return stdout;
  };

  it('shows sensors with units, limits and health, and what is wrong alone', async () => {
    const all = await well('node', 'sensors', 'n0');
    expect(all).toMatch(/^CPU Temp +42 +degrees C +ok +to 95/m);
    expect(all).toMatch(/^FAN1 +5400 +RPM +ok +from 500/m);
    expect(all).toMatch(/^PS1 Status +- +- +ok +- +presence detected/m);
    expect(await well('node', 'sensors', 'n0', '--wrong')).toBe('n0: nothing is wrong, says its BMC.\n');
    const [temperature] = served.bmcs[0]!.machine.sensors;
    Object.assign(temperature!, { raw: 97 });
    const wrong = JSON.parse(await well('--json', 'node', 'sensors', 'n0', '--wrong'));
    expect(wrong).toMatchObject([
      {
        ...{ name: 'CPU Temp', kind: 'temperature', value: 97, unit: 'degrees C', health: 'critical' },
        states: ['upper non-critical limit crossed', 'upper critical limit crossed'],
      },
    ]);
  });

  it('shows the event log in words, and clears it', async () => {
    served.bmcs[0]!.machine.chassis.press(true);
    served.bmcs[0]!.machine.chassis.press(false);
    expect(await well('node', 'event-log', 'n0', '--limit', '1')).toMatch(/ok +power unit +power off\n/);
    expect((await run('node', 'event-log', 'n0', '--limit', 'many')).code).toBe(exitCodes.usage);
    await well('node', 'event-log', 'n0', '--clear');
    expect(await well('node', 'event-log', 'n0')).toBe('n0: the log is empty.\n');
  });

  it('shows who made the machine, and lights its light', async () => {
    const inventory = await well('node', 'inventory', 'n0');
    expect(inventory).toMatch(/^manufacturer +Undercloud$/m);
    expect(inventory).toMatch(/^serial +SN-4711$/m);
    expect(inventory).toMatch(/^system board +board +Undercloud +Virtual BMC +SN-4711/m);
    expect(await well('node', 'identify', 'n0', 'on')).toBe('n0: its light is on\n');
    expect(await well('node', 'identify', 'n0', 'off')).toBe('n0: its light is off\n');
    expect((await run('node', 'identify', 'n0', 'red')).code).toBe(exitCodes.usage);
  });

  it('examines a BMC, remembers its kind, and uses what it learnt for all of them', async () => {
    for (const { machine } of served.bmcs) machine.chassis.bootTruth = 'forgets';
    served.bmcs[0]!.machine.skew = -3_600;
    const card = await well('bmc', 'check', 'n0');
    expect(card).toMatch(/^manufacturer 65534 product 0x0001, firmware 1\.00 \(examined /);
    expect(card).toMatch(/^suites +ok +speaks cipher suite 17, accepts 17, 3, advertises 3, 17/m);
    expect(card).toMatch(/^clock +warning +3(599|60\d) s behind/m);
    expect(card).toMatch(/^boot-override: it takes boot devices and forgets them\. They are set before each boot/m);
    expect(card).toContain('Set it with `undercloud bmc clock n0 --set`');
    expect(card).toMatch(/^boots +- +none was seen yet$/m);
    await site.world.db.pool.query(
      `insert into baremetal.bmc_boots (vendor, model, firmware, device, way, ignored, node)
       values ('manufacturer 65534', 'product 0x0001', '1.00', 'pxe', 'once', 1, gen_random_uuid())`,
    );
    // Of the same kind, and never examined itself.
    const shown = await well('bmc', 'show', 'n1');
    expect(shown).toMatch(/^boot-override +BAD/m);
    expect(shown).toMatch(/^boots +BAD +network: 0 of 1 boots went there$/m);
    expect(shown).toMatch(
      /^boots: it reads the network back as the boot device, and one boot went to the disk\. The network/m,
    );
    expect((await run('node', 'boot-device', 'n1', 'pxe')).code).toBe(exitCodes.ok);
    expect(await well('bmc', 'cards')).toMatch(/product 0x0001 +1\.00 .*it takes boot devices and forgets them/);
    expect(await well('node', 'timeline', 'n0')).toMatch(/BMC examined .*boot-override: it takes boot devices/);
    expect(await well('bmc', 'clock', 'n0', '--set')).toMatch(/^n0: .*Z, (right|1 s)/);
    for (const { machine } of served.bmcs) machine.chassis.bootTruth = 'honest';
  });

  it('rotates a password, which nobody is told', async () => {
    expect(await well('bmc', 'users', 'n0')).toMatch(/^2 +root +administrator +yes +ours$/m);
    expect(await well('bmc', 'rotate-password', 'n0')).toBe('n0: the BMC has a new password, proven by a log-in.\n');
    const rotated = served.bmcs[0]!.machine.users[2]!.password;
    expect(rotated).toMatch(/^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[-_.]).{16}$/);
    // A session from nothing, with the new one.
    served.bmcs[0]!.restart();
    expect(await well('bmc', 'clock', 'n0')).toMatch(/^n0: /);
    expect(await well('node', 'timeline', 'n0')).toMatch(
      /the user root has a new password on the BMC, proven by a log-in/,
    );

    // A BMC that says yes and keeps the old one: refused, and the old one goes on.
    const [, other] = served.bmcs;
    Object.defineProperty(other!.machine.users[2]!, 'password', { get: () => password, set() {} });
    const refused = await run('bmc', 'rotate-password', 'n1');
    expect(refused.code).toBe(exitCodes.failed);
    expect(refused.stderr).toMatch(
      /said that it had taken the new password and does not let us in with it\. The old one is kept/,
    );
    other!.restart();
    expect(await well('bmc', 'clock', 'n1')).toMatch(/^n1: /);

    await site.world.recorder.drain();
    const told: string[] = [...printed];
    for (const table of ['core.events', 'core.operations', 'baremetal.nodes', 'baremetal.bmc_cards']) {
      const { rows } = await site.world.db.pool.query(`select t::text as row from ${table} t`);
      told.push(...rows.map(({ row }: { row: string }) => row));
    }
    expect(told.length).toBeGreaterThan(100);
    for (const secret of [password, rotated]) expect(told.filter((text) => text.includes(secret))).toEqual([]);
  });

  it('keeps a power policy, tells firmware, restarts the BMC, and counts the fleet', async () => {
    expect(await well('bmc', 'power-policy', 'n0', 'always-on')).toBe('n0: always-on\n');
    const refused = await run('bmc', 'power-policy', 'n0', 'sometimes');
    expect(refused.stderr).toMatch(/policy is one of always-off, previous, always-on, not "sometimes"/);
    expect(await well('bmc', 'firmware', 'n0')).toMatch(/^BMC +1\.00$/m);
    expect(await well('bmc', 'restart', 'n0')).toMatch(/^n0: its BMC restarts/);
    expect(await well('bmc', 'fleet')).toMatch(/^watched +2$/m);
  });
}, 120_000);
