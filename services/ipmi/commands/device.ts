// Who is this BMC: Get Device ID and the GUIDs (IPMI 2.0 sections 20.1, 20.8, 22.14).

import { type Ask, atLeast } from './ask.ts';

export interface DeviceId {
  deviceId: number;
  revision: number;
  /** `major.minor`, minor in BCD as the BMC gives it. */
  firmware: string;
  /** Four auxiliary bytes in hex, where given. */
  auxiliary: string | undefined;
  /** `1.5` or `2.0`. */
  ipmi: string;
  /** IANA enterprise number, 20 bits. */
  manufacturer: number;
  product: number;
  /** Firmware or SDR update in progress: the BMC answers some commands only. */
  updating: boolean;
  providesSdrs: boolean;
  supports: { sensors: boolean; sdr: boolean; sel: boolean; fru: boolean; chassis: boolean };
}

export function parseDeviceId(data: Buffer): DeviceId {
  atLeast(data, 11, 'Get Device ID');
  const support = data[5]!;
  return {
    deviceId: data[0]!,
    revision: data[1]! & 0x0f,
    firmware: `${data[2]! & 0x7f}.${data[3]!.toString(16).padStart(2, '0')}`,
    auxiliary: data.length >= 15 ? data.toString('hex', 11, 15) : undefined,
    ipmi: `${data[4]! & 0x0f}.${data[4]! >> 4}`,
    manufacturer: data.readUIntLE(6, 3) & 0x0fffff,
    product: data.readUInt16LE(9),
    updating: (data[2]! & 0x80) !== 0,
    providesSdrs: (data[1]! & 0x80) !== 0,
    supports: {
      sensors: (support & 0x01) !== 0,
      sdr: (support & 0x02) !== 0,
      sel: (support & 0x04) !== 0,
      fru: (support & 0x08) !== 0,
      chassis: (support & 0x80) !== 0,
    },
  };
}

export async function deviceId(ask: Ask): Promise<DeviceId> {
  return parseDeviceId(await ask(0x06, 0x01));
}

/**
 * A GUID in its two readings. Vendors disagree: the specification orders the bytes from the last (section 20.8), many firmwares give
 * them as SMBIOS does, and OpenIPMI as they are printed. Who compares with a machine's UUID tries all three.
 */
export interface Guid {
  /** The 16 bytes as sent, in hex. */
  raw: string;
  /** Bytes in printed order (RFC 4122). */
  rfc4122: string;
  /** First three groups little-endian, as SMBIOS 2.6 stores a UUID. */
  smbios: string;
  /** All bytes reversed, as the IPMI specification says. */
  ipmi: string;
}

export function parseGuid(bytes: Buffer): Guid {
  const raw = atLeast(bytes, 16, 'Get System GUID').subarray(0, 16);
  const smbios = Buffer.from(raw);
  smbios.subarray(0, 4).reverse();
  smbios.subarray(4, 6).reverse();
  smbios.subarray(6, 8).reverse();
  return {
    raw: raw.toString('hex'),
    rfc4122: dashed(raw),
    smbios: dashed(smbios),
    ipmi: dashed(Buffer.from(raw).reverse()),
  };
}

function dashed(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Get System GUID: the machine's. */
export async function systemGuid(ask: Ask): Promise<Guid> {
  return parseGuid(await ask(0x06, 0x37));
}

/** Get Device GUID: the BMC's own. */
export async function deviceGuid(ask: Ask): Promise<Guid> {
  return parseGuid(await ask(0x06, 0x08));
}

/** Restarts the BMC, not the machine. The session is lost with it. */
export async function resetBmc(ask: Ask, kind: 'cold' | 'warm'): Promise<void> {
  await ask(0x06, kind === 'cold' ? 0x02 : 0x03, [], { once: true });
}
