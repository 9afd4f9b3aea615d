/** What the discovery ramdisk reports, read with care: it comes from a machine that nobody knows. Pure. */
import { fault } from '../core/errors/index.ts';
import type { Reported } from './store/candidates.ts';

type Fields = Readonly<Record<string, unknown>>;

const record = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const macPattern = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;
const addressPattern = /^(\d{1,3}\.){3}\d{1,3}$/;
const longest = 200;
const mostInterfaces = 256;

/** Printable and short, or null: it is shown on terminals. */
const words = (value: unknown): string | null => {
  if (typeof value !== 'string') return null;
  const plain = value
    .replaceAll(/[^\x20-\x7e]/g, ' ')
    .trim()
    .slice(0, longest);
  return plain === '' ? null : plain;
};

/** @throws Fault `discovery-refused` where it is no inventory */
export function readReport(body: unknown): Reported {
  const inventory = record(record(body).inventory);
  const interfaces = list(inventory.interfaces).slice(0, mostInterfaces).map(record);
  const macs = interfaces
    .map((one) => String(one.mac_address ?? '').toLowerCase())
    .filter((mac) => macPattern.test(mac));
  if (macs.length === 0)
    throw fault('discovery-refused', {
      reason: 'the report names no network card (inventory.interfaces[].mac_address)',
    });
  const vendor = record(inventory.system_vendor);
  const mode = record(inventory.boot).current_boot_mode;
  const bmc = inventory.bmc_address;
  const neighbours = Object.fromEntries(
    interfaces
      .filter((one) => list(one.lldp).length > 0)
      .map((one) => [words(one.name) ?? '', neighbourOf(list(one.lldp))]),
  );
  return {
    macs: [...new Set(macs)],
    systemUuid: words(vendor.uuid),
    vendor: words(vendor.manufacturer),
    product: words(vendor.product_name),
    serial: words(vendor.serial_number),
    bootMode: mode === 'uefi' || mode === 'bios' ? mode : null,
    bmcAddress: typeof bmc === 'string' && addressPattern.test(bmc) && bmc !== '0.0.0.0' ? bmc : null,
    inventory,
    neighbours,
  };
}

export interface Neighbour {
  readonly chassis: string | null;
  readonly port: string | null;
  readonly portDescription: string | null;
  readonly system: string | null;
  readonly systemDescription: string | null;
  readonly managementAddress: string | null;
}

/** LLDP as ironic-python-agent reports it: pairs of TLV type and value in hex (IEEE 802.1AB section 8.5). */
export function neighbourOf(tlvs: readonly unknown[]): Neighbour {
  const values = new Map<number, Buffer>();
  for (const tlv of tlvs.slice(0, mostInterfaces)) {
    const [type, hex] = list(tlv);
    if (typeof type !== 'number' || typeof hex !== 'string' || values.has(type)) continue;
    if (/^([0-9a-f]{2}){0,511}$/i.test(hex)) values.set(type, Buffer.from(hex, 'hex'));
  }
  const text = (type: number) => words(values.get(type)?.toString('latin1'));
  const management = values.get(8);
  return {
    chassis: identity(values.get(1), { mac: 4, address: 5 }),
    port: identity(values.get(2), { mac: 3, address: 4 }),
    portDescription: text(4),
    system: text(5),
    systemDescription: text(6),
    // Length (with the subtype), subtype 1 is IPv4, the address.
    managementAddress: management?.[0] === 5 && management[1] === 1 ? management.subarray(2, 6).join('.') : null,
  };
}

/** Chassis and port ids: a subtype, then a MAC, an address or text. */
function identity(
  value: Buffer | undefined,
  subtypes: { readonly mac: number; readonly address: number },
): string | null {
  if (!value || value.length < 2) return null;
  const [subtype] = value;
  const rest = value.subarray(1);
  if (subtype === subtypes.mac && rest.length === 6)
    return [...rest].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  if (subtype === subtypes.address && rest.length === 5 && rest[0] === 1) return rest.subarray(1).join('.');
  return words(rest.toString('latin1'));
}
