/** OpenIPMI's ipmi_sim with some BMCs, as the lab configures it but for the hook (a shell for each poll) and the machines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export interface Simulator {
  readonly addresses: readonly string[];
  readonly port: number;
  cpuMs(): number;
  residentKb(): number;
  end(): void;
}

const port = 9623;
const hex = (value: number) => `0x${value.toString(16)}`;
/** The kernel's clock ticks of /proc/PID/stat: 100 a second on every Linux that matters. */
const tickMs = 10;

export async function startSimulator(count: number): Promise<Simulator> {
  const directory = mkdtempSync(join(tmpdir(), 'uc-sim-'));
  const addresses = Array.from({ length: count }, (_, place) => `127.9.0.${place + 1}`);
  const lan = addresses.flatMap((address, place) => [
    `set_working_mc ${hex(0x20 + 2 * place)}`,
    '  startlan 1',
    `    addr ${address} ${port}`,
    '    priv_limit admin',
    ...['callback', 'user', 'operator', 'admin'].map((level) => `    allowed_auths_${level} none md2 md5 straight`),
    `    guid ${(place + 1).toString(16).padStart(32, '0')}`,
    '  endlan',
    '  startnow false',
    '  user 1 false "" "" user 10 none md2 md5 straight',
    '  user 2 true "admin" "secret" admin 10 none md2 md5 straight',
  ]);
  writeFileSync(join(directory, 'lan.conf'), `name "bench"\n${lan.join('\n')}\n`);
  const emu = addresses.flatMap((_, place) => {
    const at = hex(0x20 + 2 * place);
    return [
      `mc_add ${at} 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr`,
      `sel_enable ${at} 1000 0x0a`,
      `mc_enable ${at}`,
    ];
  });
  writeFileSync(join(directory, 'bmc.emu'), `mc_setbmc 0x20\n${emu.join('\n')}\n`);
  mkdirSync(join(directory, 'state'));
  const files = ['-c', join(directory, 'lan.conf'), '-f', join(directory, 'bmc.emu'), '-s', join(directory, 'state')];
  const child: ChildProcess = spawn('ipmi_sim', ['-n', '-p', ...files], { stdio: ['ignore', 'ignore', 2] });
  const until = performance.now() + 10_000;
  // The last one's port in the kernel's list: 127.9.0.N, least significant byte first.
  const last = `${Buffer.of(count, 0, 9, 127).toString('hex')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
  while (!readFileSync('/proc/net/udp', 'utf8').includes(last)) {
    if (performance.now() > until || child.exitCode !== null) throw new Error('ipmi_sim did not open its ports');
    await wait(20);
  }
  const stat = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return {
    addresses,
    port,
    cpuMs: () => (Number(stat()[11]) + Number(stat()[12])) * tickMs,
    residentKb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]),
    end() {
      child.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
