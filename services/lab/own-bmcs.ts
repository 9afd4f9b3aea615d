/**
 * The BMCs of all nodes, ours: one virtual BMC a node within the process that owns the machines (no hook, no process between). Power
 * goes to QEMU by its monitor, the boot flags decide the order of boot devices at each start, the console is the machine's serial
 * line, and each has its own faults.
 *
 * The flags are those of IPMI 2.0 section 28.13 in full. QEMU reads the order of boot devices at each reset, so what the next start is to
 * boot is put into it as soon as it is known: a guest that resets itself finds it there. The machines' firmware is fixed, so the EFI bit is
 * kept, told, and changes nothing, as with a server that has one boot mode.
 */
import { readFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { type BmcFaults, changedFaults, faultless, faultsOfSeed } from './bmc-faults.ts';
import { type LabDescription, type LabNode, writeWhole } from './description.ts';
import { serveInBand } from './in-band.ts';
import type { LabLayout } from './layout.ts';
import type { Machine } from './machine.ts';
import { inBandPort } from './qemu.ts';
import { reason } from './thrown.ts';
import { createVirtualBmc, serveVirtualBmc, type VirtualBmc } from './virtual-bmc.ts';
import { virtualCommand } from './virtual-bmc-commands.ts';

/** Table 28-14's selectors that a lab machine has a device for; anything else is the firmware's own order, network first. */
const devices: Readonly<Record<number, 'pxe' | 'disk'>> = { 1: 'pxe', 2: 'disk', 3: 'disk' };
const deviceOf = (selector: number): 'pxe' | 'disk' => devices[selector] ?? 'pxe';

/** One-shot flags die after a minute (virtual-bmc-chassis.ts); the order in QEMU follows just after. */
const flagsLiveMs = 60_500;

/** What of a BMC outlives its process: persistent boot flags, and its faults. */
interface Kept {
  flags?: string;
  faults?: BmcFaults;
  /** The lab's seed as the faults were given: another seed is another story. */
  seed?: number;
}

function readKept(path: string): Kept {
  try {
    const kept: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof kept === 'object' && kept !== null ? (kept as Kept) : {};
  } catch {
    // None was kept yet, or half a file of one that was killed: as from the factory.
    return {};
  }
}

/** The faults of a node as its file has them, else as the lab's seed gives them. */
export function faultsOf(lab: LabLayout, node: LabNode, seed: number | undefined): BmcFaults {
  const given = seed === undefined ? faultless : faultsOfSeed(seed, node.index);
  const kept = readKept(lab.node(node.name).bmc);
  return { ...given, ...(kept.seed === seed && kept.faults) };
}

interface Served {
  readonly bmc: VirtualBmc;
  readonly close: () => void;
}

export class OwnBmcs {
  readonly #lab: LabLayout;
  readonly #log: (line: string) => void;
  readonly #served = new Map<string, Served>();
  #seed: number | undefined;

  constructor(lab: LabLayout, log: (line: string) => void) {
    this.#lab = lab;
    this.#log = (line) => log(`BMCs: ${line}`);
  }

  /** A BMC for each node that has none yet; the others go on with their sessions. */
  async serve(description: LabDescription, machines: ReadonlyMap<string, Machine>): Promise<void> {
    this.#seed = description.bmcFaults;
    for (const node of description.nodes) {
      const machine = machines.get(node.name);
      const served = this.#served.get(node.name);
      if (served) apply(served.bmc, faultsOf(this.#lab, node, this.#seed));
      else if (machine) this.#served.set(node.name, await this.#make(node, machine, this.#seed));
    }
    this.#log(`${this.#served.size} virtual BMCs answer in process ${process.pid}`);
  }

  stop(): void {
    for (const { close } of this.#served.values()) close();
    this.#served.clear();
  }

  /** Changes what goes wrong with a node's BMC, from now on and after a restart. @throws Fault `lab-fault` */
  fault(node: string, words: readonly string[]): boolean {
    const served = this.#served.get(node);
    if (!served) return false;
    const { bmc } = served;
    const faults = changedFaults(node, { ...bmc.faults, boot: bmc.machine.chassis.bootTruth }, words);
    apply(bmc, faults);
    const path = this.#lab.node(node).bmc;
    writeWhole(path, `${JSON.stringify({ ...readKept(path), faults, seed: this.#seed })}\n`);
    return true;
  }

  async #make(node: LabNode, machine: Machine, seed: number | undefined): Promise<Served> {
    const path = this.#lab.node(node.name).bmc;
    const { address, port, user, password } = node.bmc;
    const log = (line: string) => this.#log(`${node.name}: ${line}`);
    /** Power came on and has not reached the machine yet: it starts, where else it is reset. */
    let coming = false;
    const tell = (what: string, work: Promise<unknown>) => work.catch((thrown) => log(`${what}: ${reason(thrown)}`));
    const orderNext = () =>
      tell('boot device', machine.setBootDevice(deviceOf(bmc.machine.chassis.nextBoot().selector)));
    let flagsTimer: NodeJS.Timeout | undefined;

    const bmc: VirtualBmc = createVirtualBmc({
      address,
      port,
      users: [{ name: user, password, privilege: 'administrator' }],
      // Least significant byte first (IPMI 2.0 section 20.8): what `mc guid` and the guest's SMBIOS show are then the same.
      guid: Buffer.from(node.uuid.replaceAll('-', ''), 'hex').reverse(),
      serial: node.name,
      model: { name: 'Lab node' },
      ...(seed !== undefined && { seed: seed ^ node.index }),
      onInput: (data) => type(data),
      chassis: {
        onPower(on) {
          coming = on;
          if (!on) tell('power off', machine.powerOff());
        },
        onBoot(boot) {
          const starts = coming;
          coming = false;
          tell('boot device', machine.setBootDevice(deviceOf(boot.selector)));
          const started = starts ? machine.powerOn() : machine.reset();
          started.catch((thrown) => {
            log(`${starts ? 'power on' : 'reset'}: ${reason(thrown)}`);
            // A BMC whose machine does not start says so.
            if (!machine.on) bmc.machine.chassis.press(false);
          });
          // After it in the machine's own order: the next start is another one.
          orderNext();
        },
        onSoft: () => void tell('soft off', machine.softOff()),
        onFlags(flags) {
          orderNext();
          clearTimeout(flagsTimer);
          flagsTimer = setTimeout(orderNext, flagsLiveMs);
          flagsTimer.unref();
          const persistent = flags[0]! & 0x80 && flags[0]! & 0x40;
          writeWhole(
            path,
            `${JSON.stringify({ ...readKept(path), flags: persistent ? flags.toString('hex') : undefined })}\n`,
          );
        },
      },
    });
    const { chassis } = bmc.machine;
    const flags = Buffer.from(readKept(path).flags ?? '', 'hex');
    // Another BMC may have asked for a start that is still under way.
    await machine.settled();
    chassis.adopt(machine.on, flags.length === 5 ? flags : undefined);
    apply(bmc, faultsOf(this.#lab, node, seed));
    machine.onWentOff = () => chassis.press(false);
    machine.onGuestReset = () => {
      chassis.rebooted();
      orderNext();
    };
    const type = machine.serial.tap((data) => bmc.machine.console.feed(data));
    const served = await serveVirtualBmc(bmc, address, port);
    const inBand: Server | undefined = node.inBand
      ? await serveInBand(inBandPort(node.index), (netfn, cmd, data) =>
          // The system interface has no session and all rights (section 6.1).
          virtualCommand(bmc.machine, netfn, cmd, data, { id: 0, user: '', peer: 'system', privilege: 4, suite: 0 }),
        )
      : undefined;
    return {
      bmc,
      close() {
        clearTimeout(flagsTimer);
        machine.onWentOff = () => {};
        machine.onGuestReset = () => {};
        machine.serial.untap();
        served.close();
        inBand?.close();
      },
    };
  }
}

function apply(bmc: VirtualBmc, { boot, ...faults }: BmcFaults): void {
  Object.assign(bmc.faults, faults);
  bmc.machine.chassis.bootTruth = boot;
}
