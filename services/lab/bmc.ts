import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fault } from '../core/errors/index.ts';
import { type LabDescription, type LabNode, writeWhole } from './description.ts';
import type { LabLayout } from './layout.ts';
import { end, identify, isAlive, readRecord, removeRecord, writeRecord } from './processes.ts';
import { inBandPort, solPort } from './qemu.ts';
import { tail } from './serial.ts';
import { reason } from './thrown.ts';
import { toolEnvironment } from './tools.ts';

/** The BMCs of all nodes: one ipmi_sim (OpenIPMI) with one management controller per node. */

const hex = (value: number): string => `0x${value.toString(16)}`;

/** IPMB address of node N's controller. Addresses are even (IPMB, section 2.1: bit 0 is the direction); the first is 0x20, as BMCs have it. */
const controllerAddress = (index: number): number => 0x20 + 2 * (index - 1);

/** ipmi_sim's LAN configuration (ipmi_lan(5)). The GUID is not optional: without one ipmi_sim does not advertise IPMI 2.0. */
export function lanConfiguration(nodes: readonly LabNode[], hook: string): string {
  const auth = ['callback', 'user', 'operator', 'admin'].map(
    (level) => `    allowed_auths_${level} none md2 md5 straight`,
  );
  const lines = ['name "lab"'];
  for (const { name, index, uuid, inBand, bmc } of nodes) {
    lines.push(
      `set_working_mc ${hex(controllerAddress(index))}`,
      '  startlan 1',
      `    addr ${bmc.address} ${bmc.port}`,
      '    priv_limit admin',
      ...auth,
      // Least significant byte first (IPMI 2.0 section 20.8); ipmi_sim sends the bytes as they stand here.
      `    guid ${Buffer.from(uuid.replaceAll('-', ''), 'hex').reverse().toString('hex')}`,
      '  endlan',
      // Called through sh for every question about power; run by sh, so that a /run mounted noexec does no harm.
      `  chassis_control "sh ${hook} ${name}"`,
      ...(inBand ? [`  serial 15 127.0.0.1 ${inBandPort(index)} codec VM`] : []),
      `  sol "tcp:127.0.0.1:${solPort(index)}" 115200 history=65536`,
      '  startnow false',
      '  user 1 false "" "" user 10 none md2 md5 straight',
      `  user 2 true "${bmc.user}" "${bmc.password}" admin 10 none md2 md5 straight`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** ipmi_sim's emulator commands (ipmi_sim_cmd(5)). Every number needs C notation: a plain `2c` ends the file silently. */
export function emulation(nodes: readonly LabNode[]): string {
  const lines = ['mc_setbmc 0x20'];
  for (const { index } of nodes) {
    const at = hex(controllerAddress(index));
    lines.push(
      // Device 0x23, revisions, IPMI device support 0x9f (chassis, SEL, SDR, sensors), manufacturer and product of OpenIPMI's own example.
      `mc_add ${at} 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr`,
      `sel_enable ${at} 1000 0x0a`,
      // One temperature sensor with thresholds and a full record "CPU Temp", so that sensor readers have something to read.
      `sensor_add ${at} 0 1 0x01 0x01`,
      `sensor_set_value ${at} 0 1 0x60 0`,
      `sensor_set_threshold ${at} 0 1 settable 111000 0xa0 0x90 0x70 00 00 00`,
      `sensor_set_event_support ${at} 0 1 enable scanning per-state 000111111000000 000111111000000 000111111000000 000111111000000`,
      `main_sdr_add ${at} 0x00 0x00 0x51 0x01 0x33 ${at} 0x00 0x01 0x03 0x01 0x7f 0x68 0x01 0x01 0x80 0x0a 0x80 0x0a 0x3f 0x3f 0x80 0x01 0x00 0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x60 0xa0 0x00 0xff 0x00 0xa0 0x90 0x70 0x00 0x00 0x00 0x02 0x02 0x00 0x00 0x00 0xc8 0x43 0x50 0x55 0x20 0x54 0x65 0x6d 0x70`,
      `mc_enable ${at}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Keeps one ipmi_sim running with the configuration of the lab, and starts it again when it dies. */
export class BmcProcess {
  readonly #lab: LabLayout;
  readonly #log: (line: string) => void;
  #child: ChildProcess | undefined;
  #configuration = '';
  #stopping = false;
  #failures = 0;

  constructor(lab: LabLayout, log: (line: string) => void) {
    this.#lab = lab;
    this.#log = (line) => log(`BMCs: ${line}`);
  }

  /** Makes the running ipmi_sim answer for exactly these nodes: starts it, restarts it when the configuration changed, or does nothing. */
  async serve(description: LabDescription): Promise<void> {
    const lan = lanConfiguration(description.nodes, this.#lab.hook);
    const emu = emulation(description.nodes);
    if (this.#child && this.#configuration === lan + emu) return;
    await this.#halt();
    this.#configuration = lan + emu;
    writeWhole(this.#lab.bmcConfig, lan);
    writeWhole(this.#lab.bmcEmulation, emu);
    await this.#start(description.nodes);
  }

  /** Ends ipmi_sim because somebody else answers for the nodes from now on; `serve` starts it again. */
  async pause(): Promise<void> {
    this.#configuration = '';
    await this.#halt();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#halt();
  }

  async #halt(): Promise<void> {
    this.#child?.removeAllListeners('exit');
    this.#child = undefined;
    // Also one that an earlier owner left: it would hold the UDP ports.
    await end(readRecord(this.#lab.bmcRecord), 1_000);
    removeRecord(this.#lab.bmcRecord);
  }

  async #start(nodes: readonly LabNode[]): Promise<void> {
    const { bmcConfig, bmcEmulation, bmcState, bmcLog, bmcRecord } = this.#lab;
    // What ipmi_sim persisted would be appended again (sensors) or win over the configuration (users).
    rmSync(bmcState, { recursive: true, force: true });
    mkdirSync(bmcState, { recursive: true });
    const log = openSync(bmcLog, 'a', 0o600);
    const child = spawn('ipmi_sim', ['-n', '-p', '-c', bmcConfig, '-f', bmcEmulation, '-s', bmcState], {
      stdio: ['ignore', log, log],
      env: toolEnvironment,
    });
    closeSync(log);
    this.#child = child;
    const record = child.pid === undefined ? undefined : identify(child.pid);
    if (!record) throw fault('lab-tools-missing', { missing: 'ipmi_sim', packages: 'openipmi' });
    writeRecord(bmcRecord, record);
    // An error in its files leaves ipmi_sim running without a socket: only the ports tell.
    const until = performance.now() + 10_000;
    for (const { name, bmc } of nodes) {
      while (!listens(record.pid, bmc.address, bmc.port)) {
        if (!isAlive(record) || performance.now() > until) {
          await this.#halt();
          const words = tail(bmcLog, 300).toString('utf8').trim();
          throw fault('lab-bmc-silent', { node: name, address: `${bmc.address}:${bmc.port}`, words, file: bmcConfig });
        }
        await wait(5);
      }
    }
    this.#log(`ipmi_sim process ${record.pid} answers for ${nodes.length} node${nodes.length === 1 ? '' : 's'}`);
    const since = performance.now();
    child.once('exit', (code, signal) => {
      if (this.#child !== child) return;
      // One that ran for a minute was well: the pauses start anew.
      if (performance.now() - since > 60_000) this.#failures = 0;
      this.#died(nodes, signal ?? `exit code ${code}`);
    });
    if (!isAlive(record)) this.#died(nodes, 'right after its start');
  }

  #died(nodes: readonly LabNode[], how: string): void {
    if (this.#stopping || !this.#child) return;
    this.#child = undefined;
    const pause = Math.min(30_000, 250 * 2 ** this.#failures);
    this.#failures += 1;
    this.#log(`ipmi_sim ended (${how}); starting it again in ${pause} ms`);
    const configuration = this.#configuration;
    setTimeout(() => this.#again(nodes, configuration), pause);
  }

  async #again(nodes: readonly LabNode[], configuration: string): Promise<void> {
    // Somebody else has started it in the meantime, for these nodes or for others.
    if (this.#stopping || this.#child || configuration !== this.#configuration) return;
    try {
      await this.#start(nodes);
    } catch (thrown) {
      this.#log(reason(thrown));
      const pause = Math.min(30_000, 250 * 2 ** this.#failures);
      this.#failures += 1;
      setTimeout(() => this.#again(nodes, configuration), pause);
    }
  }
}

/** Does a process in that process's namespace hold the UDP port? /proc/PID/net/udp has the address in the host's byte order, in hex. */
function listens(pid: number, address: string, port: number): boolean {
  const little = address
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('');
  const wanted = ` ${little}:${port.toString(16).padStart(4, '0')} `.toUpperCase();
  try {
    return readFileSync(`/proc/${pid}/net/udp`, 'utf8').includes(wanted);
  } catch {
    return false;
  }
}
