import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { fault } from '../core/errors/index.ts';
import { type LabLayout, labAddresses, labLayout, mostNodes } from './layout.ts';
import { isSystemError, reason } from './thrown.ts';

/** What a lab consists of: the one file (lab.json) that every part of it reads. The owner of the machines never writes it, `lab up` does. */

/** `uefi-secure` is UEFI with Microsoft's keys enrolled and Secure Boot on: nothing unsigned starts. */
export const Firmware = Type.Union([Type.Literal('bios'), Type.Literal('uefi'), Type.Literal('uefi-secure')]);
export type Firmware = Static<typeof Firmware>;

/**
 * What the network card boots with: iPXE in its ROM (the fastest, and what QEMU ships), the firmware's own PXE over TFTP, or the firmware's
 * own HTTP boot. The last two exist in UEFI only: SeaBIOS has no network stack of its own.
 */
export const NetworkBoot = Type.Union([Type.Literal('ipxe-rom'), Type.Literal('firmware'), Type.Literal('http')]);
export type NetworkBoot = Static<typeof NetworkBoot>;

/** OpenIPMI's simulator is the reference; our own knows suite 17, every boot flag, and how to go wrong. */
export const BmcKind = Type.Union([Type.Literal('ipmi_sim'), Type.Literal('own')]);
export type BmcKind = Static<typeof BmcKind>;

export const LabNode = Type.Object({
  name: Type.String({ pattern: '^node-[0-9]{1,3}$' }),
  index: Type.Integer({ minimum: 1, maximum: mostNodes }),
  mac: Type.String({ pattern: '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' }),
  uuid: Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' }),
  firmware: Firmware,
  pxe: NetworkBoot,
  memoryMb: Type.Integer({ minimum: 128 }),
  vcpus: Type.Integer({ minimum: 1, maximum: 64 }),
  diskGb: Type.Integer({ minimum: 1, maximum: 4096 }),
  inBand: Type.Boolean(),
  bmc: Type.Object({
    address: Type.String(),
    port: Type.Integer(),
    user: Type.String(),
    password: Type.String(),
  }),
});
export type LabNode = Static<typeof LabNode>;

export const LabDescription = Type.Object({
  version: Type.Literal(1),
  acceleration: Type.Union([Type.Literal('kvm'), Type.Literal('tcg')]),
  /** Who plays the BMCs; without it ipmi_sim, as before there was a choice. */
  bmcs: Type.Optional(BmcKind),
  /** Seed of what goes wrong with our own. */
  bmcFaults: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffff_ffff })),
  nodes: Type.Array(LabNode),
});
export type LabDescription = Static<typeof LabDescription>;

/** What may be chosen for a node; whatever is left out gets the default. Memory in MiB, disk in GiB (sparse). */
export interface NodeShape {
  firmware?: Firmware;
  pxe?: NetworkBoot;
  memoryMb?: number;
  vcpus?: number;
  diskGb?: number;
  /** Give the guest a KCS interface to its own BMC (/dev/ipmi0). Default true, as on a real server. */
  inBand?: boolean;
}

/**
 * 1024 MiB: the deploy ramdisk needs 512, the lab's server image with PostgreSQL and cloud-init runs in 1024, and QEMU's resident size is
 * then 1.2 GB a node, so that three nodes and an undercloud fit an 8 GB machine.
 */
const defaultMemoryMb = 1024;
/** The image has about 1 GB; 10 leaves room for growpart to show, and a sparse file costs nothing. */
const defaultDiskGb = 10;

/** A new node of the lab, with everything that identifies it derived from the lab and its index: the same lab raised again has the same MACs. */
export function describeNode(
  lab: LabLayout,
  index: number,
  nodes: number,
  shape: NodeShape,
  secret: BmcSecret,
): LabNode {
  const firmware = shape.firmware ?? 'bios';
  // The card's iPXE is not signed: under Secure Boot the firmware's own PXE is left.
  const pxe = shape.pxe ?? (firmware === 'uefi-secure' ? 'firmware' : 'ipxe-rom');
  if (firmware === 'bios' && pxe !== 'ipxe-rom') {
    throw fault('lab-pxe-needs-uefi', { node: `node-${index}`, pxe });
  }
  const digest = createHash('sha256').update(`${lab.id}/${index}`).digest('hex');
  const node: LabNode = {
    name: `node-${index}`,
    index,
    mac: `52:54:00:${lab.id.slice(0, 2)}:${lab.id.slice(2, 4)}:${index.toString(16).padStart(2, '0')}`,
    // Version 4 and the RFC 9562 variant, although it is derived: ipmitool guesses a GUID's byte order from these bits.
    uuid: `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`,
    firmware,
    pxe,
    memoryMb: shape.memoryMb ?? defaultMemoryMb,
    // A lone node with a second core writes its image in half the time; with as many nodes as cores one each is better.
    vcpus: shape.vcpus ?? (nodes < availableParallelism() ? 2 : 1),
    diskGb: shape.diskGb ?? defaultDiskGb,
    inBand: shape.inBand ?? true,
    bmc: { address: labAddresses.bmc(index), port: labAddresses.bmcPort, ...secret },
  };
  const wrong = Value.Errors(LabNode, node)[0];
  if (wrong)
    throw fault('lab-node-shape', { node: node.name, field: wrong.instancePath.slice(1), fault: wrong.message });
  return node;
}

export interface BmcSecret {
  user: string;
  password: string;
}

/** A user and a password for the BMCs of one lab. 16 characters, because IPMI 1.5 sessions take no more (IPMI 2.0 section 22.30). */
export function newBmcSecret(): BmcSecret {
  const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';
  const letters = (count: number) =>
    Array.from(randomBytes(count), (byte) => alphabet[byte % alphabet.length]).join('');
  return { user: `lab-${letters(4).toLowerCase()}`, password: letters(16) };
}

/** Reads lab.json. Undefined when there is no lab; an error names the file when it is damaged. */
export function readDescription(stateDir: string): LabDescription | undefined {
  const { description } = labLayout(stateDir);
  let text: string;
  try {
    text = readFileSync(description, 'utf8');
  } catch (thrown) {
    if (isSystemError(thrown, 'ENOENT', 'ENOTDIR')) return undefined;
    throw fault('lab-description-damaged', { file: description, fault: reason(thrown) });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (thrown) {
    throw fault('lab-description-damaged', { file: description, fault: `it is not JSON (${reason(thrown)})` });
  }
  if (!Value.Check(LabDescription, parsed)) {
    const wrong = Value.Errors(LabDescription, parsed)[0];
    throw fault('lab-description-damaged', {
      file: description,
      fault: `${wrong?.instancePath || 'its top'} ${wrong?.message ?? 'has an unknown shape'}`,
    });
  }
  return parsed;
}

/** Writes a whole file or none of it, readable by its owner alone. */
export function writeWhole(path: string, text: string, mode = 0o600): void {
  const half = `${path}.new`;
  writeFileSync(half, text, { mode });
  renameSync(half, path);
}

/** The enrolment file for `undercloud node import`, in the field names of TripleO's instackenv.json. */
export function instackenv(description: LabDescription): string {
  const nodes = description.nodes.map((node) => ({
    name: node.name,
    pm_type: 'ipmi',
    pm_addr: node.bmc.address,
    pm_port: String(node.bmc.port),
    pm_user: node.bmc.user,
    pm_password: node.bmc.password,
    ports: [{ address: node.mac, physical_network: 'ctlplane' }],
    cpu: String(node.vcpus),
    memory: String(node.memoryMb),
    disk: String(node.diskGb),
    arch: 'x86_64',
    capabilities: node.firmware === 'uefi-secure' ? 'boot_mode:uefi,secure_boot:true' : `boot_mode:${node.firmware}`,
  }));
  return `${JSON.stringify({ nodes }, null, 2)}\n`;
}
