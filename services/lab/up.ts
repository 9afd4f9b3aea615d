import { spawn } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, fstatSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fault } from '../core/errors/index.ts';
import { chooseAcceleration, type Verdict } from './acceleration.ts';
import { askOwner } from './control.ts';
import {
  type BmcKind,
  describeNode,
  instackenv,
  type LabDescription,
  type LabNode,
  type NodeShape,
  newBmcSecret,
  readDescription,
  writeWhole,
} from './description.ts';
import { type LabLayout, labLayout, mostNodes, runRoot } from './layout.ts';
import { withLabLock } from './lock.ts';
import { raiseNetwork } from './network.ts';
import { isAlive, readRecord } from './processes.ts';
import type { Acceleration } from './qemu.ts';
import { tail } from './serial.ts';
import { machineSpeed } from './speed.ts';
import { checkTools, toolEnvironment } from './tools.ts';

export interface LabUpOptions {
  /** The undercloud's state directory; the lab lies in `lab/` below it and takes its name from the path. */
  stateDir: string;
  /** How many nodes there shall be. Nodes that exist stay as they are; more are added; fewer is no reason to remove one. */
  nodes: number;
  /** Shape of the nodes that are added. */
  shape?: NodeShape;
  /** Shapes by place (the first is node-1), over `shape`: a lab with one BIOS and one UEFI node. */
  shapes?: readonly NodeShape[];
  /** Who plays the BMCs. Default: what the lab has, ipmi_sim in a new one. Another kind takes over at once; machines that run go on. */
  bmcs?: BmcKind;
  /** Seed of what goes wrong with our own BMCs; null: nothing any more. Default: as it was. */
  bmcFaults?: number | null;
  /** Force an acceleration instead of probing for KVM. */
  acceleration?: Acceleration;
  /** A Linux kernel to probe KVM with; default the newest in /boot, else UEFI firmware. */
  probeKernel?: string;
  /** Called with a line for each thing that was made or found. */
  onProgress?: (line: string) => void;
}

export interface Lab {
  netns: { name: string; file: string };
  /** Enrolment file with the BMCs' addresses and credentials; readable by root alone. */
  instackenv: string;
  acceleration: Acceleration;
  bmcs: BmcKind;
  nodes: LabNode[];
}

/**
 * Raises the lab, or completes it: nodes with blank disks, off, each with a BMC that answers inside the namespace. Safe to repeat, also
 * after being interrupted anywhere. Throws a Fault with the remedy when the machine lacks something.
 */
export async function labUp(options: LabUpOptions): Promise<Lab> {
  const { stateDir, nodes, onProgress = () => {} } = options;
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > mostNodes) {
    throw fault('lab-node-count', { most: mostNodes, nodes });
  }
  const lab = labLayout(stateDir);
  return withLabLock(lab, onProgress, async () => {
    const known = readDescription(stateDir);
    const planned = plan(lab, known, options);
    const bmcs = options.bmcs ?? known?.bmcs ?? 'ipmi_sim';
    const asBefore = bmcs === 'own' ? known?.bmcFaults : undefined;
    const seed = options.bmcFaults === undefined ? asBefore : (options.bmcFaults ?? undefined);
    if (seed !== undefined && bmcs !== 'own') throw fault('lab-fault-simulator', { node: planned[0]?.name });
    checkTools(planned.some((node) => node.firmware !== 'bios') ? 'uefi' : 'machines', bmcs);
    checkMemory(planned);
    mkdirSync(lab.directory, { recursive: true });
    mkdirSync(runRoot, { recursive: true, mode: 0o755 });
    mkdirSync(lab.run, { recursive: true, mode: 0o700 });

    const verdict: Verdict = options.acceleration
      ? { acceleration: options.acceleration, reason: 'as asked' }
      : await chooseAcceleration(lab.acceleration, options.probeKernel, onProgress);
    onProgress(`acceleration ${verdict.acceleration}: ${verdict.reason}`);
    const description: LabDescription = {
      version: 1,
      acceleration: verdict.acceleration,
      bmcs,
      ...(seed !== undefined && { bmcFaults: seed }),
      nodes: planned,
    };
    writeWhole(lab.description, `${JSON.stringify(description, null, 2)}\n`);

    for (const node of planned) makeNode(lab, node);
    raiseNetwork(lab, planned.length, onProgress);
    copyFileSync(fileURLToPath(new URL('chassis.sh', import.meta.url)), lab.hook);
    chmodSync(lab.hook, 0o700);
    await startOwner(stateDir, lab, onProgress);
    writeWhole(lab.instackenv, instackenv(description));
    onProgress(`${planned.length} node${planned.length === 1 ? '' : 's'}; enrol them with ${lab.instackenv}`);
    return {
      netns: { name: lab.netns, file: lab.netnsFile },
      instackenv: lab.instackenv,
      acceleration: verdict.acceleration,
      bmcs,
      nodes: planned,
    };
  });
}

/**
 * Raises the lab's network alone: the namespace with the bridge and the undercloud's addresses, for somebody who opens sockets there before
 * there are nodes. `labUp` adds to it. Safe to repeat.
 */
export async function labNetworkUp(stateDir: string, onProgress: (line: string) => void = () => {}): Promise<void> {
  const lab = labLayout(stateDir);
  await withLabLock(lab, onProgress, async () => {
    checkTools('network');
    raiseNetwork(lab, 0, onProgress);
  });
}

function plan(lab: LabLayout, known: LabDescription | undefined, options: LabUpOptions): LabNode[] {
  const nodes = [...(known?.nodes ?? [])];
  const secret = nodes[0] ? { user: nodes[0].bmc.user, password: nodes[0].bmc.password } : newBmcSecret();
  for (let index = nodes.length + 1; index <= options.nodes; index += 1) {
    const shape = { ...options.shape, ...options.shapes?.[index - 1] };
    nodes.push(describeNode(lab, index, options.nodes, shape, secret));
  }
  return nodes;
}

/** QEMU with a full translation cache takes about 200 MiB over the guest's own memory (measured: 1.23 GB for a guest of 1 GiB). */
const overheadMb = 200;

function checkMemory(nodes: readonly LabNode[]): void {
  const wanted = nodes.reduce((sum, node) => sum + node.memoryMb + overheadMb, 0);
  const there = Math.floor(totalmem() / 1024 / 1024);
  if (wanted > there) {
    throw fault('lab-memory', { nodes: nodes.length, wanted, there });
  }
}

/** The node's directory and its blank disk, sparse, at its full size. A disk that is there keeps its content. */
function makeNode(lab: LabLayout, node: LabNode): void {
  const layout = lab.node(node.name);
  mkdirSync(layout.directory, { recursive: true });
  const disk = openSync(layout.disk, 'a', 0o600);
  try {
    const size = node.diskGb * 1024 ** 3;
    if (fstatSync(disk).size < size) ftruncateSync(disk, size);
  } finally {
    closeSync(disk);
  }
}

async function startOwner(stateDir: string, lab: LabLayout, onProgress: (line: string) => void): Promise<void> {
  // ipmi_sim with all its BMCs, and Node itself, have to start within this.
  const patience = 30_000 * (await machineSpeed());
  const running = readRecord(lab.ownerRecord);
  if (running && isAlive(running)) {
    // It may be dying at this very moment: then another is started, as if it had been dead.
    const there = await ownerAnswers(lab, () => isAlive(running), patience);
    if (there && (await askOwner(lab.control, 'reload', patience))) {
      onProgress(`machines are owned by process ${running.pid}`);
      return;
    }
  }
  const log = openSync(lab.log, 'a', 0o600);
  const child = spawn(
    'nsenter',
    [
      `--net=${lab.netnsFile}`,
      '--',
      process.execPath,
      fileURLToPath(new URL('machines.ts', import.meta.url)),
      stateDir,
      lab.control,
    ],
    // Its own session and no terminal: it stays when the command that started it ends.
    { detached: true, stdio: ['ignore', log, log], env: toolEnvironment, cwd: '/' },
  );
  closeSync(log);
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  child.unref();
  if (!(await ownerAnswers(lab, () => !ended, patience))) {
    throw fault('lab-owner-ended', { words: lastWords(lab), log: lab.log });
  }
  onProgress(`machines are owned by process ${child.pid}, its log is ${lab.log}`);
}

const lastWords = (lab: LabLayout): string => tail(lab.log, 4000).toString('utf8').trim().split('\n').at(-1) ?? '';

/** Waits until the owner's door answers, which it does once all machines are adopted and all BMCs listen. False when the owner ended. */
async function ownerAnswers(lab: LabLayout, alive: () => boolean, patience: number): Promise<boolean> {
  const until = performance.now() + patience;
  for (;;) {
    if (await askOwner(lab.control, 'ping', patience)) return true;
    if (!alive()) return false;
    if (performance.now() > until) {
      throw fault('lab-owner-late', { question: 'ping', seconds: Math.round(patience / 1000) });
    }
    await wait(20);
  }
}
