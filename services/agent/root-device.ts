/** Which disk the image goes to: Ironic's root device hints, with the operators of its "specs matcher". Pure. */
import type { InventoryDisk, JsonObject } from '../ipa/index.ts';
import { AgentFailure } from './failure.ts';

export const GIB = 2 ** 30;
/** IPA's default: anything smaller is a boot medium or a BMC's virtual stick. */
export const ROOT_DISK_MINIMUM = 4 * GIB;

const TEXT_HINTS = [
  'model',
  'vendor',
  'serial',
  'wwn',
  'wwn_with_extension',
  'wwn_vendor_extension',
  'name',
  'hctl',
  'by_path',
] as const;
const HINTS: readonly string[] = [...TEXT_HINTS, 'size', 'rotational'];

const NUMBER_TESTS: Record<string, (a: number, b: number) => boolean> = {
  // In this language a bare "=" asks for at least (oslo's specs_matcher, kept from Nova's extra specs).
  '=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
};

const TEXT_TESTS: Record<string, (a: string, b: string) => boolean> = {
  's==': (a, b) => a === b,
  's!=': (a, b) => a !== b,
  's>=': (a, b) => a >= b,
  's<=': (a, b) => a <= b,
  's>': (a, b) => a > b,
  's<': (a, b) => a < b,
  '<in>': (a, b) => a.includes(b),
};

function wrongHint(name: string, value: unknown): AgentFailure {
  return new AgentFailure(
    'DeviceNotFound',
    `The root device hint ${name} is ${JSON.stringify(value)}, which is not understood; correct the node's properties.root_device.`,
    { code: 404 },
  );
}

function matches(name: string, hint: unknown, disk: InventoryDisk): boolean {
  if (name === 'rotational') return ['true', '1', 'yes', 'on'].includes(String(hint).toLowerCase()) === disk.rotational;
  const words = String(hint).trim().toLowerCase();
  const [, operator = '', operand = words] =
    /^(<or>|<in>|s==|s!=|s>=|s<=|s>|s<|==|!=|>=|<=|=|>|<)\s+(.*)$/s.exec(words) ?? [];
  if (name === 'size') {
    // IPA compares whole GiB.
    const size = Math.floor(disk.size / GIB);
    if (operator === '<or>') return operand.split('<or>').some((choice) => Number(choice.trim()) === size);
    const test = operator === '' ? NUMBER_TESTS['==']! : NUMBER_TESTS[operator];
    const wanted = Number(operand);
    if (test === undefined || operand === '' || !Number.isFinite(wanted)) throw wrongHint(name, hint);
    return test(size, wanted);
  }
  const value = disk[name as (typeof TEXT_HINTS)[number]]?.toLowerCase();
  if (value === undefined) return false;
  if (operator === '<or>') return operand.split('<or>').some((choice) => choice.trim() === value);
  const test = operator === '' ? TEXT_TESTS['s==']! : TEXT_TESTS[operator];
  if (test === undefined) throw wrongHint(name, hint);
  return test(value, operand);
}

function described(disks: InventoryDisk[]): string {
  return disks.length === 0
    ? 'the machine has no disks'
    : `it has ${disks.map(({ name, size }) => `${name} (${size} bytes)`).join(', ')}`;
}

/**
 * Without hints the smallest disk of at least `minimum` bytes, with hints the first disk by name that meets all of them.
 * Throws AgentFailure DeviceNotFound naming what there is.
 */
export function chooseRootDisk<T extends InventoryDisk>(
  disks: T[],
  hints: JsonObject | undefined,
  minimum = ROOT_DISK_MINIMUM,
): T {
  const byName = disks.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (hints !== undefined && Object.keys(hints).length > 0) {
    for (const name of Object.keys(hints)) if (!HINTS.includes(name)) throw wrongHint(name, hints[name]);
    const found = byName.find((disk) => Object.entries(hints).every(([name, hint]) => matches(name, hint, disk)));
    if (found) return found;
    throw new AgentFailure(
      'DeviceNotFound',
      `No disk matches the root device hints ${JSON.stringify(hints)}: ${described(disks)}.`,
      { code: 404 },
    );
  }
  const [smallest] = byName.filter(({ size }) => size >= minimum).sort((a, b) => a.size - b.size);
  if (smallest) return smallest;
  throw new AgentFailure(
    'DeviceNotFound',
    `No disk has ${minimum} bytes or more: ${described(disks)}. Set the node's properties.root_device to take a smaller one.`,
    { code: 404 },
  );
}

/** Where the hints are: the instance's own win over the node's (Ironic 1.4x and later). */
export function rootDeviceHints(node: JsonObject): JsonObject | undefined {
  for (const holder of [node.instance_info, node.properties]) {
    if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) continue;
    const hints = holder.root_device;
    if (typeof hints === 'object' && hints !== null && !Array.isArray(hints)) return hints;
  }
  return undefined;
}
