/** One entry of a cpio archive. `mode` holds type and permissions, as in stat(2). */
export interface CpioEntry {
  path: string;
  mode: number;
  /** Contents of a file, or the target of a symlink. */
  data?: Uint8Array;
  /** Major and minor number of a device. */
  device?: [number, number];
}

export const CPIO_DIRECTORY = 0o040755;
export const CPIO_FILE = 0o100644;
export const CPIO_PROGRAM = 0o100755;
export const CPIO_SYMLINK = 0o120777;
export const CPIO_CHARACTER_DEVICE = 0o020600;

const TRAILER = 'TRAILER!!!';

function padding(length: number): number {
  return (4 - (length % 4)) % 4;
}

function header(entry: CpioEntry, inode: number, name: Buffer, size: number): Buffer {
  const [major, minor] = entry.device ?? [0, 0];
  const links = (entry.mode & 0o170000) === 0o040000 ? 2 : 1;
  // newc: magic, then 13 fields of 8 hexadecimal digits (kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
  const fields = [inode, entry.mode, 0, 0, links, 0, size, 0, 0, major, minor, name.length + 1, 0];
  const text = `070701${fields.map((field) => field.toString(16).padStart(8, '0').toUpperCase()).join('')}`;
  const head = Buffer.concat([Buffer.from(text, 'latin1'), name, Buffer.from([0])]);
  return Buffer.concat([head, Buffer.alloc(padding(head.length))]);
}

/**
 * An initramfs in the "newc" format, in the order given (a directory before what is in it), every time zero and every owner root: equal entries make equal bytes. The length is
 * a multiple of 512, so that another archive can follow it.
 */
export function encodeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  let length = 0;
  const push = (part: Uint8Array): void => {
    parts.push(part);
    length += part.length;
  };
  entries.forEach((entry, index) => {
    const data = entry.data ?? new Uint8Array(0);
    push(header(entry, index + 1, Buffer.from(entry.path), data.length));
    push(data);
    push(Buffer.alloc(padding(data.length)));
  });
  push(header({ path: TRAILER, mode: 0 }, 0, Buffer.from(TRAILER), 0));
  push(Buffer.alloc((512 - (length % 512)) % 512));
  return Buffer.concat(parts, length);
}
