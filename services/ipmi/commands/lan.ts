// LAN and serial-over-LAN configuration parameters (IPMI 2.0 sections 23.2 and 26.3). Channel 0x0e means "the one we speak on".

import { type Ask, atLeast, inRange } from './ask.ts';

export interface LanParams {
  address: string | undefined;
  source: 'unspecified' | 'static' | 'dhcp' | 'bios' | 'other' | undefined;
  mac: string | undefined;
  netmask: string | undefined;
  gateway: string | undefined;
  gatewayMac: string | undefined;
  /** VLAN id, or undefined when VLANs are off or not told. */
  vlan: number | undefined;
  /** Cipher suite ids of the channel (parameters 22 and 23). */
  suites: number[] | undefined;
}

const SOURCES = ['unspecified', 'static', 'dhcp', 'bios', 'other'] as const;
/** Parameter not supported, or refused in general: the parameter is then undefined in the result. */
const ABSENT = [0x80, 0xc1, 0xc9, 0xcb, 0xcc, 0xff] as const;

/** One LAN parameter's bytes after the revision, or undefined when the BMC lacks it. */
export async function lanParam(
  ask: Ask,
  param: number,
  channel = 0x0e,
  set = 0,
  block = 0,
): Promise<Buffer | undefined> {
  const answer = await ask(0x0c, 0x02, [channel, inRange(param, 0, 255, 'LAN parameter'), set, block], {
    accept: ABSENT,
  });
  return answer[0] === 0 && answer.length >= 2 ? answer.subarray(2) : undefined;
}

const ipv4 = (bytes: Buffer | undefined) => (bytes && bytes.length >= 4 ? bytes.subarray(0, 4).join('.') : undefined);
const mac = (bytes: Buffer | undefined) =>
  bytes && bytes.length >= 6 ? bytes.toString('hex', 0, 6).replace(/(..)(?!$)/g, '$1:') : undefined;

export async function lanParams(ask: Ask, channel = 0x0e): Promise<LanParams> {
  const read = (param: number) => lanParam(ask, param, channel);
  const address = ipv4(await read(3));
  const source = (await read(4))?.[0];
  const vlan = await read(20);
  const count = (await read(22))?.[0];
  const entries = count ? await read(23) : undefined;
  return {
    address,
    source: source === undefined ? undefined : (SOURCES[source & 0x0f] ?? 'other'),
    mac: mac(await read(5)),
    netmask: ipv4(await read(6)),
    gateway: ipv4(await read(12)),
    gatewayMac: mac(await read(13)),
    vlan: vlan && vlan.length >= 2 && vlan[1]! & 0x80 ? vlan.readUInt16LE(0) & 0x0fff : undefined,
    suites: entries && count !== undefined ? [...entries.subarray(1, 1 + Math.min(count & 0x1f, 16))] : undefined,
  };
}

export interface SolConfig {
  enabled: boolean;
  /** Bits per second, or undefined when set by the serial port. */
  baud: number | undefined;
  forceEncryption: boolean;
  forceAuthentication: boolean;
  privilege: number;
}

const BAUDS: Readonly<Record<number, number>> = { 6: 9_600, 7: 19_200, 8: 38_400, 9: 57_600, 10: 115_200 };

/** SOL parameters 1 (enable), 2 (authentication) and 6 (volatile bit rate). */
export async function solConfig(ask: Ask, channel = 0x0e): Promise<SolConfig> {
  const step = 'Get SOL Configuration Parameters';
  const enable = atLeast(await ask(0x0c, 0x22, [channel, 1, 0, 0]), 2, step)[1]!;
  const auth = atLeast(await ask(0x0c, 0x22, [channel, 2, 0, 0]), 2, step)[1]!;
  const rate = await ask(0x0c, 0x22, [channel, 6, 0, 0], { accept: ABSENT });
  return {
    enabled: (enable & 1) !== 0,
    baud: rate[0] === 0 && rate.length >= 3 ? BAUDS[rate[2]! & 0x0f] : undefined,
    forceEncryption: (auth & 0x80) !== 0,
    forceAuthentication: (auth & 0x40) !== 0,
    privilege: auth & 0x0f,
  };
}
