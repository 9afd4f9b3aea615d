/**
 * TFTP on the wire (RFC 1350, options by RFC 2347). Reading never throws: hostile bytes give the reason why they are no TFTP.
 */

export const OPCODE = { read: 1, write: 2, data: 3, ack: 4, error: 5, optionAck: 6 } as const;

/** RFC 1350 section 5 and RFC 2347 section 3. */
export const ERROR_CODE = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  diskFull: 3,
  illegalOperation: 4,
  unknownTransfer: 5,
  fileExists: 6,
  noSuchUser: 7,
  optionRefused: 8,
} as const;

export interface TftpRequest {
  readonly kind: 'read' | 'write';
  /** As the client wrote it, latin1. */
  readonly path: string;
  /** Lower case. */
  readonly mode: string;
  /** By lower-case name; of a repeated one the first counts. */
  readonly options: ReadonlyMap<string, string>;
}

export type TftpPacket =
  | TftpRequest
  | { readonly kind: 'data'; readonly block: number; readonly data: Uint8Array }
  | { readonly kind: 'ack'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'option-ack'; readonly options: ReadonlyMap<string, string> };

export type TftpRead =
  | { readonly ok: true; readonly packet: TftpPacket }
  | { readonly ok: false; readonly reason: string };

/** RFC 2347 section 2: a request fits 512 bytes. Boot tokens in paths may make it longer; beyond this it is no request. */
const LARGEST_REQUEST = 2048;
const MOST_OPTIONS = 32;

export function readPacket(bytes: Uint8Array): TftpRead {
  if (bytes.length < 4) return refuse(`${bytes.length} bytes; a TFTP packet has at least 4`);
  const opcode = (bytes[0]! << 8) | bytes[1]!;
  const number = (bytes[2]! << 8) | bytes[3]!;
  switch (opcode) {
    case OPCODE.ack:
      return { ok: true, packet: { kind: 'ack', block: number } };
    case OPCODE.data:
      return { ok: true, packet: { kind: 'data', block: number, data: bytes.subarray(4) } };
    case OPCODE.error: {
      const end = bytes.indexOf(0, 4);
      return {
        ok: true,
        packet: {
          kind: 'error',
          code: number,
          message: latin1(bytes.subarray(4, end < 0 ? bytes.length : end)).slice(0, 200),
        },
      };
    }
    case OPCODE.read:
    case OPCODE.write:
      return readRequest(opcode === OPCODE.read ? 'read' : 'write', bytes);
    case OPCODE.optionAck: {
      const words = readWords(bytes);
      if (typeof words === 'string') return refuse(words);
      return { ok: true, packet: { kind: 'option-ack', options: pairs(words) } };
    }
    default:
      return refuse(`opcode ${opcode} is not TFTP's`);
  }
}

function readRequest(kind: 'read' | 'write', bytes: Uint8Array): TftpRead {
  const words = readWords(bytes);
  if (typeof words === 'string') return refuse(words);
  const [path, mode, ...rest] = words;
  if (path === undefined || mode === undefined) return refuse('a request without file name and mode');
  if (path === '') return refuse('a request with an empty file name');
  return { ok: true, packet: { kind, path, mode: mode.toLowerCase(), options: pairs(rest) } };
}

/** NUL-terminated words from byte 2; one without its NUL at the end is taken (some ROMs), an odd option name is dropped by `pairs`. */
function readWords(bytes: Uint8Array): string[] | string {
  if (bytes.length > LARGEST_REQUEST) return `request of ${bytes.length} bytes; at most ${LARGEST_REQUEST} are read`;
  const words: string[] = [];
  let at = 2;
  while (at < bytes.length) {
    const end = bytes.indexOf(0, at);
    const stop = end < 0 ? bytes.length : end;
    words.push(latin1(bytes.subarray(at, stop)));
    if (words.length > 2 + 2 * MOST_OPTIONS) return `more than ${MOST_OPTIONS} options`;
    at = stop + 1;
  }
  return words;
}

function pairs(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < words.length; i += 2) {
    const name = words[i]!.toLowerCase();
    if (name !== '' && !options.has(name)) options.set(name, words[i + 1]!);
  }
  return options;
}

export function writeRequest(request: TftpRequest): Uint8Array {
  const words = [request.path, request.mode, ...[...request.options].flat()];
  return header(request.kind === 'read' ? OPCODE.read : OPCODE.write, words);
}

export function writeOptionAck(options: Iterable<readonly [string, string]>): Uint8Array {
  return header(OPCODE.optionAck, [...options].flat());
}

export function writeAck(block: number): Uint8Array {
  return Uint8Array.of(0, OPCODE.ack, block >>> 8, block);
}

export function writeError(code: number, message: string): Uint8Array {
  const text = Buffer.from(`${message.slice(0, 400)}\0`, 'latin1');
  const bytes = new Uint8Array(4 + text.length);
  bytes[1] = OPCODE.error;
  bytes[2] = code >>> 8;
  bytes[3] = code;
  bytes.set(text, 4);
  return bytes;
}

/** Puts the four bytes of a DATA header at `at`. */
export function writeDataHeader(bytes: Uint8Array, at: number, block: number): void {
  bytes[at] = 0;
  bytes[at + 1] = OPCODE.data;
  bytes[at + 2] = block >>> 8;
  bytes[at + 3] = block;
}

function header(opcode: number, words: readonly string[]): Uint8Array {
  const text = Buffer.from(words.map((word) => `${word}\0`).join(''), 'latin1');
  const bytes = new Uint8Array(2 + text.length);
  bytes[1] = opcode;
  bytes.set(text, 2);
  return bytes;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function refuse(reason: string): TftpRead {
  return { ok: false, reason };
}
