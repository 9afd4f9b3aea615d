/** The virtual BMC before judges that are none of ours: ipmitool and FreeIPMI, with the cipher suites 3 and 17. */
import { execFile } from 'node:child_process';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openPty } from '../../test/setup/pty.ts';
import { serveVirtualBmcs, type VirtualBmcs } from './virtual-bmc.ts';

async function bmcs(): Promise<VirtualBmcs> {
  const served = await serveVirtualBmcs({ count: 1 });
  onTestFinished(() => served.close());
  return served;
}

describe('a virtual BMC judged by strangers', () => {
  const run = (program: string, args: string[]) =>
    new Promise<{ code: number; out: string }>((resolve) => {
      execFile(program, args, { timeout: 40_000 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, out: stdout + stderr });
      });
    });

  it.each(['3', '17'])('ipmitool -C %s', async (suite) => {
    const served = await bmcs();
    const it = served.bmcs[0]!.machine;
    const target = ['-H', served.addresses[0]!, '-p', String(served.port), '-U', 'admin', '-P', 'secret'];
    const ipmitool = async (...words: string[]) => {
      const { code, out } = await run('ipmitool', ['-I', 'lanplus', '-C', suite, ...target, ...words]);
      if (code !== 0) throw new Error(`ipmitool ${words.join(' ')} ended with ${code}: ${out}`);
      return out;
    };
    expect(await ipmitool('chassis', 'bootdev', 'pxe', 'options=efiboot')).toContain('Set Boot Device to pxe');
    expect(await ipmitool('chassis', 'bootparam', 'get', '5')).toMatch(/Boot Flag Valid[\s\S]*next boot[\s\S]*EFI/);
    expect(await ipmitool('power', 'on')).toContain('Up/On');
    expect(it.chassis.lastBoot).toEqual({ selector: 1, efi: true, persistent: false });
    expect(await ipmitool('chassis', 'bootparam', 'get', '5')).toContain('Boot Flag Invalid');
    expect(await ipmitool('chassis', 'status')).toMatch(/System Power +: on/);
    expect(await ipmitool('mc', 'info')).toMatch(/Firmware Revision +: 1\.0/);
    expect(await ipmitool('sdr', 'list', 'full')).toMatch(/CPU Temp +\| 42 degrees C +\| ok/);
    expect(await ipmitool('sensor', 'list')).toMatch(/12V +\| 12\.060 +\| Volts +\| ok/);
    for (const [words, selector] of [
      [['disk'], 2],
      [['cdrom', 'options=persistent'], 5],
      [['bios', 'options=efiboot,persistent'], 6],
    ] as const) {
      expect(await ipmitool('chassis', 'bootdev', ...words)).toContain(`Set Boot Device to ${words[0]}`);
      expect(it.chassis.nextBoot().selector).toBe(selector);
    }
    expect(await ipmitool('chassis', 'bootdev', 'none')).toContain('Set Boot Device to none');
    for (const [word, says] of [
      ['cycle', /Cycle/],
      ['reset', /Reset/],
      ['soft', /Soft/],
      ['off', /Down\/Off/],
      ['on', /Up\/On/],
    ] as const)
      expect(await ipmitool('chassis', 'power', word)).toMatch(says);
    expect(await ipmitool('sel', 'list')).toMatch(/Power Unit/);
    expect(await ipmitool('fru', 'print', '0')).toMatch(/Product Name +: Virtual BMC/);
    expect(await ipmitool('user', 'list', '1')).toMatch(/2 +admin .*ADMINISTRATOR/);
    expect(await ipmitool('lan', 'print', '1')).toMatch(/IP Address +: 127\.6\.23\.1/);
    expect(await ipmitool('mc', 'guid')).toMatch(/System GUID/);
    expect(await ipmitool('sol', 'info', '1')).toMatch(/Enabled +: true/);
    it.setUser(3, { name: 'watcher', password: 'look', privilege: 'user' });
    await ipmitool('user', 'set', 'password', '3', 'changed');
    expect(it.users[3]?.password).toBe('changed');
    await ipmitool('sel', 'clear');
    expect(it.sel.entries).toEqual([]);
  });

  it.each(['3', '17'])('ipmitool -C %s sol activate', async (suite) => {
    const served = await bmcs();
    const its = served.bmcs[0]!.machine;
    const target = ['-H', served.addresses[0]!, '-p', String(served.port), '-U', 'admin', '-P', 'secret'];
    const sol = (word: string) =>
      openPty(['/usr/bin/ipmitool', '-I', 'lanplus', '-C', suite, ...target, 'sol', word], {
        env: { PATH: process.env.PATH ?? '' },
        cwd: '/',
      });
    its.console.feed('before anybody came\r\n');
    const pty = sol('activate');
    await pty.says('SOL Session operational');
    await pty.says('before anybody came');
    pty.type('typed and echoed');
    await pty.says('typed and echoed');
    its.console.feed(`${'y'.repeat(5_000)}the end`);
    await pty.says('the end');
    // A second one is refused, and can end the first.
    const second = sol('activate');
    await second.says('already active');
    await second.ended;
    await sol('deactivate').ended;
    expect(its.console.owner).toBe(0);
    pty.kill('SIGTERM');
    await pty.ended;
  });

  it.each(['3', '17'])('FreeIPMI with suite %s', async (suite) => {
    const served = await bmcs();
    const its = served.bmcs[0]!.machine;
    const target = ['-D', 'LAN_2_0', '-I', suite, '-h', `${served.addresses[0]}:${served.port}`];
    const freeipmi = async (program: string, ...words: string[]) => {
      const { code, out } = await run(program, [...target, '-u', 'admin', '-p', 'secret', '-l', 'ADMIN', ...words]);
      if (code !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${code}: ${out}`);
      return out;
    };
    expect(await freeipmi('ipmipower', '--on', '--wait-until-on')).toMatch(/: ok$/m);
    expect(its.chassis.on).toBe(true);
    expect(await freeipmi('bmc-info')).toMatch(/Firmware Revision +: 1\.0/);
    expect(await freeipmi('ipmi-chassis', '--get-chassis-status')).toMatch(/System Power +: on/);
    expect(await freeipmi('ipmi-sensors', '--sdr-cache-recreate', '--ignore-not-available-sensors')).toMatch(
      /CPU Temp[^\n]*42\.00/,
    );
    expect(await freeipmi('ipmi-fru', '--sdr-cache-recreate')).toMatch(/Product Name: Virtual BMC/);
    expect(await freeipmi('ipmi-sel', '--sdr-cache-recreate')).toMatch(/Power Unit/);
    expect(await freeipmi('ipmi-chassis', '--get-system-restart-cause')).toMatch(/[Cc]hassis [Cc]ontrol/);
    expect(await freeipmi('ipmi-chassis', '--get-chassis-capabilities')).toMatch(/SEL Device Address/);
    for (const word of ['--cycle', '--reset', '--soft']) expect(await freeipmi('ipmipower', word)).toMatch(/: ok$/m);
    expect(await freeipmi('ipmipower', '--stat')).toMatch(/: off$/m);
    expect(its.chassis.on).toBe(false);
  });
});
