/** An inventory, as an agent saw it, becomes a node's properties. */
import type { Tx } from '../core/database/index.ts';
import { requireNode } from './change.ts';
import { type Ground, nodeSubject } from './ground.ts';
import type { JsonObject } from './node.ts';
import { keepInventory } from './store/agents.ts';
import { patchNode } from './store/nodes.ts';

const gib = 2 ** 30;

/** Of what a stranger sent, only what is of the right kind. */
const record = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const whole = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.floor(value) : null;

/** What Ironic's inspection sets: cpus, cpu_arch, memory_mb, local_gb (the smallest disk of at least 4 GiB, less one as it
 *  always was), and the boot mode as a capability. */
export function propertiesOf(inventory: JsonObject): Record<string, string | number> {
  const cpu = record(inventory.cpu);
  const memory = record(inventory.memory);
  const sizes = list(inventory.disks)
    .map((disk) => whole(record(disk).size) ?? 0)
    .filter((size) => size >= 4 * gib)
    .sort((a, b) => a - b);
  const cpus = whole(cpu.count);
  const memoryMb = whole(memory.physical_mb);
  const found: Record<string, string | number> = {};
  if (cpus !== null) found.cpus = cpus;
  if (typeof cpu.architecture === 'string') found.cpu_arch = cpu.architecture;
  if (memoryMb !== null) found.memory_mb = memoryMb;
  if (sizes[0] !== undefined) found.local_gb = Math.max(1, Math.floor(sizes[0] / gib) - 1);
  return found;
}

export async function recordInventory(
  ground: Ground,
  tx: Tx,
  uuid: string,
  inventory: JsonObject,
  pluginData: JsonObject,
): Promise<void> {
  const node = await requireNode(tx, uuid, true);
  const found = propertiesOf(inventory);
  const mode = record(inventory.boot).current_boot_mode;
  await keepInventory(tx, uuid, inventory, pluginData);
  await patchNode(tx, uuid, {
    properties: { ...node.properties, ...found },
    ...((mode === 'bios' || mode === 'uefi') && { bootMode: mode }),
  });
  await ground.house.recorder.append(tx, 'node.inspected', nodeSubject(uuid), {
    cpus: Number(found.cpus ?? 0) || null,
    memoryMb: Number(found.memory_mb ?? 0) || null,
    localGb: Number(found.local_gb ?? 0) || null,
    interfaces: list(inventory.interfaces).length,
  });
}
