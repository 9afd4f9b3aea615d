import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fault } from '../core/errors/index.ts';
import { type LabNode, writeWhole } from './description.ts';
import type { NodeLayout } from './layout.ts';
import {
  end,
  gone,
  identify,
  isAlive,
  type ProcessRecord,
  processUse,
  readRecord,
  removeRecord,
  writeRecord,
} from './processes.ts';
import {
  type Acceleration,
  type BootDevice,
  bootIndexPaths,
  bootOrders,
  machineArguments,
  qemuProgram,
} from './qemu.ts';
import { Qmp } from './qmp.ts';
import { SerialLine, tail } from './serial.ts';
import { isSystemError, reason } from './thrown.ts';
import { uefiFiles } from './tools.ts';

/**
 * One machine: off, or on as one QEMU process.
 *
 * Power on starts QEMU; power off ends it at once, as pulling the plug does; a guest that shuts itself down ends it too. Reset keeps the
 * process. The boot device is kept beside the disk, as NVRAM would, and is put into a running QEMU at once, so that any reset (from the BMC
 * or from the guest) follows it. The QEMU process outlives the owner of the machines: `adopt` finds it again.
 *
 * A selected boot device stays until another is selected. ipmi_sim tells only the device, not whether it was meant for the next boot only
 * (IPMI 2.0 section 28.13, data 1 bit 6): keeping it honours every persistent request, and a one-time `pxe` differs from the real thing
 * only at the second boot, when it asks the undercloud again instead of booting a stale disk. A new machine tries the network first.
 */

/** How long a starting QEMU may take until its monitor answers: 0.2 s on an idle machine, seconds when all nodes of a busy one start. */
const startPatience = 30_000;
const quitPatience = 3_000;
const resetPatience = 2_000;

export class Machine {
  readonly node: LabNode;
  readonly #layout: NodeLayout;
  readonly #acceleration: Acceleration;
  readonly #log: (line: string) => void;
  readonly serial: SerialLine;
  #process: ProcessRecord | undefined;
  #qmp: Qmp | undefined;
  #boot: BootDevice;
  #last: Promise<unknown> = Promise.resolve();
  /** Off without anybody here having asked: the guest shut down, or QEMU died. */
  onWentOff: () => void = () => {};
  /** The guest reset itself. */
  onGuestReset: () => void = () => {};
  #onReset: () => void = () => {};
  /** Why the process ends, for the log: set by the one who ends it. */
  #leaving = '';

  constructor(node: LabNode, layout: NodeLayout, acceleration: Acceleration, log: (line: string) => void) {
    this.node = node;
    this.#layout = layout;
    this.#acceleration = acceleration;
    this.#log = (line) => log(`${node.name}: ${line}`);
    this.serial = new SerialLine(node.index, layout);
    this.#boot = readBootDevice(layout.bootOrder);
  }

  /** Opens the serial line's doors and takes over a QEMU that an earlier owner started. */
  async adopt(): Promise<void> {
    await this.serial.listen();
    const record = readRecord(this.#layout.pidFile);
    if (record && isAlive(record)) {
      try {
        this.#took(record, await within(Qmp.open(this.#layout.qmp), startPatience));
        this.#log(`adopted QEMU process ${record.pid}`);
      } catch (thrown) {
        // A QEMU that does not answer its monitor cannot be owned; the machine is off after that, as after a crash.
        this.#log(`QEMU process ${record.pid} does not answer (${reason(thrown)}); ending it`);
        await end(record, quitPatience);
      }
    }
    this.#publish();
  }

  get on(): boolean {
    return this.#isOn();
  }

  powerOn(): Promise<void> {
    return this.#next(async () => {
      if (this.#isOn()) return;
      await this.#start();
    });
  }

  powerOff(): Promise<void> {
    return this.#next(async () => {
      const record = this.#process;
      if (!record) return;
      this.#leaving = `power off after ${processUse(record.pid).cpuSeconds} s of processor time`;
      // An answer is not waited for: QEMU may close the monitor before it comes.
      this.#qmp?.ask('quit').catch(() => {});
      if (!(await gone(record, quitPatience))) await end(record, 500);
      this.#ended(record);
    });
  }

  reset(): Promise<void> {
    return this.#next(async () => {
      if (!this.#isOn()) throw fault('lab-reset-off', { node: this.node.name });
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onReset = resolve;
      await this.#qmp?.ask('system_reset');
      // It is answered before it is done, and the order of boot devices is read when it is done.
      await Promise.race([promise, wait(resetPatience)]);
      this.#log(`reset, boots from ${this.#boot}`);
    });
  }

  /** Presses the power button (ACPI). The guest decides what it makes of it. */
  softOff(): Promise<void> {
    return this.#next(async () => {
      if (!this.#isOn()) return;
      await this.#qmp?.ask('system_powerdown');
      this.#log('power button pressed');
    });
  }

  setBootDevice(device: BootDevice): Promise<void> {
    return this.#next(async () => {
      this.#boot = device;
      writeWhole(this.#layout.bootOrder, `${JSON.stringify({ device })}\n`);
      if (this.#isOn()) await this.#orderDevices();
      this.#publish();
      this.#log(`boot device ${device}`);
    });
  }

  /** Resolves when nothing that was asked is still under way. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Lets go of everything in this process; the QEMU stays. */
  release(): void {
    this.#qmp?.close();
    this.serial.close();
  }

  #isOn(): boolean {
    return this.#process !== undefined && isAlive(this.#process);
  }

  /** One thing at a time, in the order asked. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #start(): Promise<void> {
    const layout = this.#layout;
    for (const socket of [layout.qmp, layout.serial]) rmSync(socket, { force: true });
    const { firmware } = this.node;
    if (firmware !== 'bios' && !existsSync(layout.firmwareVariables))
      copyFileSync(uefiFiles[firmware].variables, layout.firmwareVariables);
    const log = openSync(layout.qemuLog, 'a');
    const child = spawn(qemuProgram, machineArguments(this.node, layout, this.#acceleration, this.#boot), {
      // Its own session: the owner's end must not end it.
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (thrown) => reject(fault('lab-qemu', { fault: `cannot be run: ${thrown.message}` })));
      child.once('exit', (code, signal) => {
        const words = tail(layout.qemuLog, 2000).toString('utf8').trim().split('\n').at(-1) ?? '';
        reject(fault('lab-qemu', { fault: `ended at its start (${signal ?? `exit code ${code}`}): ${words}` }));
      });
    });
    failed.catch(() => {});
    child.unref();
    const record = child.pid === undefined ? undefined : identify(child.pid);
    if (record) writeRecord(layout.pidFile, record);
    try {
      const qmp = await Promise.race([within(connected(layout.qmp), startPatience), failed]);
      if (!record) throw fault('lab-qemu', { fault: 'ended at its start' });
      this.#took(record, qmp);
    } catch (thrown) {
      await end(record, 500);
      removeRecord(layout.pidFile);
      throw fault('lab-power-on', { node: this.node.name, text: reason(thrown), log: layout.qemuLog });
    }
    this.#log(`power on, boots from ${this.#boot}, QEMU process ${record?.pid}`);
    this.#publish();
  }

  #took(record: ProcessRecord, qmp: Qmp): void {
    this.#process = record;
    this.#qmp = qmp;
    qmp.onEvent = (event, data) => {
      if (event === 'RESET') this.#onReset();
      if (event === 'RESET' && data.guest === true) this.onGuestReset();
      if (event === 'RESET' || event === 'SHUTDOWN' || event === 'GUEST_PANICKED') this.#log(`QEMU says ${event}`);
    };
    this.serial.attach();
    qmp.closed.then(async () => {
      if (this.#qmp !== qmp) return;
      // The monitor closes a moment before the process has gone.
      await gone(record, quitPatience);
      if (!isAlive(record)) this.#ended(record);
    });
  }

  #ended(record: ProcessRecord): void {
    if (this.#process !== record) return;
    this.#process = undefined;
    this.#qmp?.close();
    this.#qmp = undefined;
    removeRecord(this.#layout.pidFile);
    this.#publish();
    this.#log(this.#leaving || 'went off by itself');
    const asked = this.#leaving !== '';
    this.#leaving = '';
    if (!asked) this.onWentOff();
  }

  async #orderDevices(): Promise<void> {
    const order = bootOrders[this.#boot];
    // QEMU refuses an index that is in use, by the device itself too.
    const set = async (path: string, value: number) => {
      if ((await this.#qmp?.ask('qom-get', { path, property: 'bootindex' })) === value) return;
      await this.#qmp?.ask('qom-set', { path, property: 'bootindex', value });
    };
    if ((await this.#qmp?.ask('qom-get', { path: bootIndexPaths.nic, property: 'bootindex' })) === order.nic) return;
    // Two devices may not share an index, not even for a moment: the card steps aside first.
    await set(bootIndexPaths.nic, 9);
    await set(bootIndexPaths.disk, order.disk);
    await set(bootIndexPaths.nic, order.nic);
  }

  /** What the BMC's hook answers `get power` and `get boot` from, without asking this process. */
  #publish(): void {
    writeWhole(this.#layout.chassis, `${this.#process?.pid ?? 0} ${this.#boot === 'pxe' ? 'pxe' : 'default'}\n`);
  }
}

/** The kept boot device; a new machine, or one whose file is damaged, tries the network first, as servers leave the factory. */
export function readBootDevice(path: string): BootDevice {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && 'device' in parsed && parsed.device === 'disk') return 'disk';
  } catch {
    // No choice was made yet.
  }
  return 'pxe';
}

/** QEMU makes its socket some time after it starts and tells nobody: look until it is there. */
async function connected(path: string): Promise<Qmp> {
  const until = performance.now() + startPatience;
  for (;;) {
    try {
      return await Qmp.open(path);
    } catch (thrown) {
      if (!isSystemError(thrown, 'ENOENT', 'ECONNREFUSED') || performance.now() > until) throw thrown;
    }
    await wait(5);
  }
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  const aborter = new AbortController();
  const late = wait(milliseconds, undefined, { signal: aborter.signal }).then(() => {
    throw fault('lab-qemu', { fault: `does not answer within ${milliseconds / 1000} s` });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    aborter.abort();
    late.catch(() => {});
  }
}
