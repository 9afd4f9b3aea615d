import { existsSync, readFileSync } from 'node:fs';
import { faultWords } from './bmc-faults.ts';
import { type BmcKind, type LabNode, readDescription } from './description.ts';
import { labLayout } from './layout.ts';
import { readBootDevice } from './machine.ts';
import { faultsOf } from './own-bmcs.ts';
import { isAlive, processUse, readRecord } from './processes.ts';
import type { Acceleration, BootDevice } from './qemu.ts';

export interface LabNodeStatus {
  node: LabNode;
  power: 'on' | 'off';
  bootDevice: BootDevice;
  /** QEMU's process while the node is on. */
  pid?: number;
  /** QEMU's resident memory in MiB, 0 when off. */
  rssMb: number;
  /** User and system time of this QEMU since its power-on, in seconds; 0 when off. */
  cpuSeconds: number;
  /** What is wrong with its BMC, as it would be typed; always empty with ipmi_sim. */
  bmcFaults: string[];
  /** Everything the node ever said on its serial line. */
  consoleLog: string;
}

export interface LabStatus {
  netns: { name: string; file: string; present: boolean };
  acceleration: Acceleration;
  bmcs: BmcKind;
  /** The process that owns the machines, and the one that answers for the BMCs; undefined when it does not run (`lab up` starts it). */
  ownerPid?: number;
  bmcPid?: number;
  instackenv: string;
  nodes: LabNodeStatus[];
}

/** What the lab is and does at this moment, from its files and /proc alone. Undefined when there is no lab in that state directory. */
export function labStatus(stateDir: string): LabStatus | undefined {
  const lab = labLayout(stateDir);
  const description = readDescription(stateDir);
  if (!description) return undefined;
  const alive = (path: string): number | undefined => {
    const record = readRecord(path);
    return record && isAlive(record) ? record.pid : undefined;
  };
  const ownerPid = alive(lab.ownerRecord);
  const bmcs = description.bmcs ?? 'ipmi_sim';
  // Ours are within the owner.
  const bmcPid = bmcs === 'own' ? ownerPid : alive(lab.bmcRecord);
  return {
    netns: { name: lab.netns, file: lab.netnsFile, present: existsSync(lab.netnsFile) },
    acceleration: description.acceleration,
    bmcs,
    ...(ownerPid === undefined ? {} : { ownerPid }),
    ...(bmcPid === undefined ? {} : { bmcPid }),
    instackenv: lab.instackenv,
    nodes: description.nodes.map((node) => {
      const layout = lab.node(node.name);
      const pid = alive(layout.pidFile);
      const use = pid === undefined ? { rssMb: 0, cpuSeconds: 0 } : processUse(pid);
      return {
        node,
        power: pid === undefined ? ('off' as const) : ('on' as const),
        bootDevice: readBootDevice(layout.bootOrder),
        ...(pid === undefined ? {} : { pid }),
        ...use,
        bmcFaults: bmcs === 'own' ? faultWords(faultsOf(lab, node, description.bmcFaults)) : [],
        consoleLog: layout.consoleLog,
      };
    }),
  };
}

/** What a node has said on its serial line so far; empty before its first power-on. */
export function consoleText(consoleLog: string): string {
  return existsSync(consoleLog) ? readFileSync(consoleLog, 'latin1') : '';
}
