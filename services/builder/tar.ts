import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { type TreeNode, walkTree } from './layers.ts';

const RECORD = 512;
const BUFFER = 1024 * 1024;
const TYPES = { file: '0', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6' } as const;

export interface TarOptions {
  /** Put before every path, such as `rootfs`. */
  prefix?: string;
  /** No time is later. */
  epoch: number;
  /** Top-level directories whose contents are left out. */
  without?: readonly string[];
  /** Files added in front of the tree. */
  first?: readonly { name: string; bytes: Buffer }[];
}

function octal(into: Buffer, value: number, at: number, length: number): void {
  // A number that octal digits cannot hold goes in base 256 (POSIX pax, and every tar since 1999).
  if (value >= 8 ** (length - 1)) {
    into[at] = 0x80;
    let rest = value;
    for (let i = length - 1; i > 0; i--) {
      into[at + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
  } else into.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
}

function header(
  name: string,
  fields: {
    mode: number;
    uid: number;
    gid: number;
    size: number;
    time: number;
    type: string;
    link?: string;
    device?: { major: number; minor: number };
  },
): Buffer {
  const block = Buffer.alloc(RECORD);
  Buffer.from(name).copy(block, 0, 0, 100);
  octal(block, fields.mode & 0o7777, 100, 8);
  octal(block, fields.uid, 108, 8);
  octal(block, fields.gid, 116, 8);
  octal(block, fields.size, 124, 12);
  octal(block, fields.time, 136, 12);
  block.fill(0x20, 148, 156);
  block.write(fields.type, 156, 'latin1');
  Buffer.from(fields.link ?? '').copy(block, 157, 0, 100);
  block.write('ustar\x0000', 257, 'latin1');
  octal(block, fields.device?.major ?? 0, 329, 8);
  octal(block, fields.device?.minor ?? 0, 337, 8);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** One record of a pax header: its length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = body.length;
  while (`${length}`.length + body.length !== length) length = `${length}`.length + body.length;
  return Buffer.concat([Buffer.from(`${length}`), body]);
}

class TarFile {
  #fd: number;
  #buffer = Buffer.alloc(BUFFER);
  #used = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  write(bytes: Uint8Array): void {
    if (this.#used + bytes.length > BUFFER) this.flush();
    if (bytes.length > BUFFER) for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  flush(): void {
    for (let done = 0; done < this.#used; ) done += writeSync(this.#fd, this.#buffer, done, this.#used - done);
    this.#used = 0;
  }

  pad(size: number): void {
    const rest = size % RECORD;
    if (rest > 0) this.write(Buffer.alloc(RECORD - rest));
  }

  copy(source: string, size: number): void {
    const file = openSync(source, 'r');
    try {
      const piece = Buffer.allocUnsafe(Math.min(BUFFER, size));
      for (let done = 0; done < size; ) {
        const got = readSync(file, piece, 0, Math.min(piece.length, size - done), done);
        if (got === 0) throw new Error(`${source} became shorter while it was archived.`);
        this.write(piece.subarray(0, got));
        done += got;
      }
    } finally {
      closeSync(file);
    }
  }

  finish(): void {
    this.write(Buffer.alloc(2 * RECORD));
    this.flush();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Writes a tree as a pax archive: names in the order of their bytes, numeric owners, attributes as SCHILY.xattr, times clamped. Equal trees give equal archives. */
export function writeTar(path: string, root: TreeNode, options: TarOptions): void {
  const tar = new TarFile(path);
  try {
    fill(tar, root, options);
    tar.finish();
  } finally {
    // On a full disk too: a file that is removed while it is open keeps its place.
    tar.close();
  }
}

function fill(tar: TarFile, root: TreeNode, options: TarOptions): void {
  const prefix = options.prefix ?? '.';
  const seen = new Map<string, string>();
  for (const { name, bytes } of options.first ?? []) {
    tar.write(header(name, { mode: 0o644, uid: 0, gid: 0, size: bytes.length, time: options.epoch, type: '0' }));
    tar.write(bytes);
    tar.pad(bytes.length);
  }
  tar.write(
    header(`${prefix}/`, {
      mode: root.mode,
      uid: root.uid,
      gid: root.gid,
      size: 0,
      time: Math.min(root.time, options.epoch),
      type: '5',
    }),
  );
  for (const { node, path: relative } of walkTree(root)) {
    if (node.kind === 'socket') continue; // A socket is made by its server; tar has no type for it.
    if (options.without?.some((top) => relative.startsWith(`${top}/`))) continue;
    const name = `${prefix}/${relative}${node.kind === 'directory' ? '/' : ''}`;
    const known = node.identity === '' ? undefined : seen.get(node.identity);
    if (node.identity !== '' && known === undefined) seen.set(node.identity, name);
    const link = known ?? (node.kind === 'symlink' ? node.target : '');
    const size = node.kind === 'file' && known === undefined ? node.size : 0;
    const records: Buffer[] = [];
    if (Buffer.byteLength(name) > 100) records.push(paxRecord('path', Buffer.from(name)));
    if (Buffer.byteLength(link) > 100) records.push(paxRecord('linkpath', Buffer.from(link)));
    if (known === undefined)
      for (const { name: attribute, value } of node.attributes)
        records.push(paxRecord(`SCHILY.xattr.${attribute}`, value));
    const time = Math.min(node.time, options.epoch);
    if (records.length > 0) {
      const body = Buffer.concat(records);
      tar.write(header('././@PaxHeader', { mode: 0o644, uid: 0, gid: 0, size: body.length, time, type: 'x' }));
      tar.write(body);
      tar.pad(body.length);
    }
    const type = known === undefined ? TYPES[node.kind] : '1';
    tar.write(
      header(name, { mode: node.mode, uid: node.uid, gid: node.gid, size, time, type, link, device: node.device }),
    );
    if (size > 0) {
      tar.copy(node.source, size);
      tar.pad(size);
    }
  }
}
