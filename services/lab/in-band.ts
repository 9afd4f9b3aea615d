/**
 * The machine's own way to its BMC: QEMU's `ipmi-bmc-extern` is a KCS interface for the guest and speaks OpenIPMI's "VM" protocol
 * on a TCP connection. A message is `sequence, netfn and LUN, command, data, checksum` (all bytes together are 0 modulo 256), its
 * special bytes escaped, and 0xa0; a notice of either side is some bytes and 0xa1 (QEMU's hw/ipmi/ipmi_bmc_extern.c).
 */
import { createServer, type Server, type Socket } from 'node:net';

const MESSAGE_END = 0xa0;
const NOTICE_END = 0xa1;
const ESCAPE = 0xaa;
/** The longest IPMI message is far shorter; what goes on beyond it is no message. */
const mostBytes = 1_024;

export type InBandCommand = (netfn: number, cmd: number, data: Buffer) => { completionCode: number; data?: Uint8Array };

/** Cuts the stream into messages. What does not add up is dropped, as a KCS interface drops it: the guest asks again. */
export function messageReader(): (chunk: Buffer) => Buffer[] {
  let bytes: number[] = [];
  let escaped = false;
  let spoilt = false;
  return (chunk) => {
    const messages: Buffer[] = [];
    for (const byte of chunk) {
      if (byte === MESSAGE_END || byte === NOTICE_END) {
        const sum = bytes.reduce((total, one) => (total + one) & 0xff, 0);
        // Sequence, function, command, checksum at the least; a notice (version, capabilities) needs no answer.
        if (byte === MESSAGE_END && !spoilt && !escaped && bytes.length >= 4 && sum === 0)
          messages.push(Buffer.from(bytes.slice(0, -1)));
        bytes = [];
        escaped = false;
        spoilt = false;
      } else if (byte === ESCAPE) escaped = true;
      else {
        bytes.push(escaped ? byte & ~0x10 : byte);
        escaped = false;
        if (bytes.length > mostBytes) {
          spoilt = true;
          bytes = [];
        }
      }
    }
    return messages;
  };
}

export function encodeMessage(bytes: readonly number[]): Buffer {
  const sum = bytes.reduce((total, one) => total + one, 0);
  const out: number[] = [];
  for (const byte of [...bytes, -sum & 0xff]) {
    if (byte === MESSAGE_END || byte === NOTICE_END || byte === ESCAPE) out.push(ESCAPE, byte | 0x10);
    else out.push(byte);
  }
  return Buffer.from([...out, MESSAGE_END]);
}

/** Answers one message of the guest's. */
export function answerInBand(message: Buffer, command: InBandCommand): Buffer {
  const [sequence = 0, function_ = 0, cmd = 0] = message;
  const { completionCode, data = new Uint8Array() } = command(function_ >> 2, cmd, message.subarray(3));
  return encodeMessage([sequence, function_ | 0x04, cmd, completionCode, ...(completionCode === 0 ? data : [])]);
}

/** Listens where QEMU connects, a port of 127.0.0.1 or the path of a unix socket; QEMU comes again by itself whenever the connection goes. */
export async function serveInBand(place: number | string, command: InBandCommand): Promise<Server> {
  const guests = new Set<Socket>();
  const server = createServer((guest) => {
    guests.add(guest);
    guest.setNoDelay(true);
    const read = messageReader();
    guest.on('data', (chunk) => {
      for (const message of read(chunk)) guest.write(answerInBand(message, command));
    });
    guest.on('error', () => {});
    guest.on('close', () => guests.delete(guest));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(typeof place === 'number' ? { port: place, host: '127.0.0.1' } : { path: place }, resolve);
  });
  const close = server.close.bind(server);
  return Object.assign(server, {
    close(done?: (error?: Error) => void) {
      for (const guest of guests) guest.destroy();
      return close(done);
    },
  });
}
