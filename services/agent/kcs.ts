/**
 * The machine's own way to its BMC without a driver: a KCS interface (IPMI 2.0 section 9) that is a PCI device, whose two registers
 * sysfs shows as a file. The lab's kernel has no IPMI driver, and it has this; where there is a driver, the driver has the registers.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** 0: data, 1: status when read, command when written (table 9-1). */
export interface KcsRegisters {
  read(register: 0 | 1): number;
  write(register: 0 | 1, byte: number): void;
}

export type KcsCommand = (netfn: number, cmd: number, data: readonly number[]) => Promise<Buffer>;

// Table 9-1 and 9-2: status bits, states of the interface, and control codes.
const OUTPUT_FULL = 0x01;
const INPUT_FULL = 0x02;
const IDLE = 0;
const READING = 1;
const WRITING = 2;
const WRITE_START = 0x61;
const WRITE_END = 0x62;
const READ = 0x68;

/** Looks that are made at once: most BMCs are done by then. */
const spins = 20;
/** Longer than any answer of IPMI: who goes on is no BMC. */
const mostBytes = 256;

/** The BMC is there and does not do that. */
export class KcsRefusal extends Error {
  override name = 'KcsRefusal';
}

/** The answer's data behind its completion code. @throws KcsRefusal for a completion code, Error where the interface does not work */
export async function kcsAsk(
  registers: KcsRegisters,
  netfn: number,
  cmd: number,
  data: readonly number[],
  /** ms for all of it. Section 9.12 lets a BMC take 5 s. */
  patienceMs = 5_000,
): Promise<Buffer> {
  const until = performance.now() + patienceMs;
  const wait = async (isReady: (status: number) => boolean): Promise<number> => {
    for (let look = 0; ; look += 1) {
      const status = registers.read(1);
      if (isReady(status)) return status >> 6;
      if (performance.now() > until)
        throw new Error(`the BMC's KCS interface stays at status 0x${status.toString(16)}`);
      if (look > spins) await delay(1);
    }
  };
  const taken = async (): Promise<number> => wait((status) => (status & INPUT_FULL) === 0);
  const put = async (register: 0 | 1, byte: number): Promise<void> => {
    registers.write(register, byte);
    const state = await taken();
    if (state !== WRITING) throw new Error(`the BMC's KCS interface left its write state for state ${state}`);
    // Figure 9-6, "clear OBF": reading empties the output register.
    registers.read(0);
  };

  const request = [netfn << 2, cmd, ...data];
  await taken();
  registers.read(0);
  await put(1, WRITE_START);
  for (const byte of request.slice(0, -1)) await put(0, byte);
  await put(1, WRITE_END);
  registers.write(0, request.at(-1) ?? 0);

  const answer: number[] = [];
  for (;;) {
    const state = await taken();
    if (state !== READING && state !== IDLE)
      throw new Error(`the BMC's KCS interface is in state ${state} and no answer comes`);
    await wait((status) => (status & OUTPUT_FULL) !== 0);
    const byte = registers.read(0);
    // The last byte says only that there is no other.
    if (state === IDLE) break;
    answer.push(byte);
    if (answer.length > mostBytes) throw new Error(`the BMC's KCS interface answers more than ${mostBytes} bytes`);
    registers.write(0, READ);
  }
  const [function_, command, completionCode] = answer;
  if (function_ !== ((netfn << 2) | 0x04) || command !== cmd || completionCode === undefined)
    throw new Error(`the BMC answered 0x${Buffer.from(answer).toString('hex')} to command 0x${cmd.toString(16)}`);
  if (completionCode !== 0)
    throw new KcsRefusal(`the BMC answered with completion code 0x${completionCode.toString(16)}`);
  return Buffer.from(answer.slice(3));
}

const APPLICATION = 0x06;
const TRANSPORT = 0x0c;
/** Table 6-1: numbers that may be LAN channels. */
const channels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
/** Table 6-3: 802.3. */
const MEDIUM_LAN = 4;

/** Null for what the BMC refuses; an interface that does not work is not asked eleven times. */
const orNull = (error: unknown): null => {
  if (error instanceof KcsRefusal) return null;
  throw error;
};

/**
 * Address and MAC of the BMC's first LAN channel (sections 22.24 and 23.2); null each where the BMC has none.
 * @throws Error where the interface does not work
 */
export async function kcsLan(ask: KcsCommand): Promise<{ address: string | null; mac: string | null }> {
  for (const channel of channels) {
    const told = await ask(APPLICATION, 0x42, [channel]).catch(orNull);
    if (told === null || ((told[1] ?? 0) & 0x7f) !== MEDIUM_LAN) continue;
    const parameter = async (number: number, length: number): Promise<Buffer | null> => {
      const answer = await ask(TRANSPORT, 0x02, [channel, number, 0, 0]).catch(orNull);
      return answer?.length === length + 1 ? answer.subarray(1) : null;
    };
    const address = (await parameter(3, 4))?.join('.') ?? null;
    const mac = await parameter(5, 6);
    return {
      // What a BMC says that has no address.
      address: address === '0.0.0.0' ? null : address,
      mac: mac ? [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':') : null,
    };
  }
  return { address: null, mac: null };
}

/** PCI's class of KCS interfaces: serial bus controller, IPMI, KCS. */
const PCI_CLASS_KCS = '0x0c0701';

/** The folder in sysfs of a PCI device that is a KCS interface and that no driver has; null where there is none. */
export async function findKcs(root = '/'): Promise<string | null> {
  const folder = path.join(root, 'sys/bus/pci/devices');
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const at = path.join(folder, name);
    const type = await readFile(path.join(at, 'class'), 'utf8').catch(() => '');
    if (type.trim() !== PCI_CLASS_KCS) continue;
    const isDriven = await readlink(path.join(at, 'driver')).then(
      () => true,
      () => false,
    );
    if (!isDriven) return at;
  }
  return null;
}

/** What the BMC says of its LAN by the interface in that folder of sysfs. @throws Error where its registers cannot be had */
export async function readKcsLan(folder: string): Promise<{ address: string | null; mac: string | null }> {
  // Firmware that has no use for the device may have left it off.
  await writeFile(path.join(folder, 'enable'), '1');
  const fd = openSync(path.join(folder, 'resource0'), 'r+');
  try {
    const byte = Buffer.alloc(1);
    const registers: KcsRegisters = {
      read(register) {
        readSync(fd, byte, 0, 1, register);
        return byte[0] ?? 0;
      },
      write(register, value) {
        byte[0] = value;
        writeSync(fd, byte, 0, 1, register);
      },
    };
    return await kcsLan((netfn, cmd, data) => kcsAsk(registers, netfn, cmd, data));
  } finally {
    closeSync(fd);
  }
}
