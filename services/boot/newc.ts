/** The cpio format of initramfs (kernel: Documentation/driver-api/early-userspace/buffer-format.rst), as far as a few small files need it. */

export interface NewcEntry {
  /** `etc/undercloud/ca.pem`; its directories are made. */
  readonly path: string;
  readonly content: Uint8Array;
  /** Permission bits. Default 0644. */
  readonly mode?: number;
}

const regular = 0o100000;
const directory = 0o040755;

/** An uncompressed archive, padded to 512 bytes, so that another may follow it in one initrd. */
export function newc(entries: readonly NewcEntry[]): Buffer {
  const parts: Buffer[] = [];
  const made = new Set<string>();
  let inode = 0;
  const add = (path: string, mode: number, content: Uint8Array) => {
    inode += 1;
    const name = Buffer.from(`${path}\0`);
    const fields = [inode, mode, 0, 0, mode === directory ? 2 : 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    parts.push(padded(Buffer.concat([Buffer.from(header), name]), 4), padded(Buffer.from(content), 4));
  };
  for (const entry of entries) {
    const steps = entry.path.split('/').slice(0, -1);
    for (let depth = 1; depth <= steps.length; depth += 1) {
      const path = steps.slice(0, depth).join('/');
      if (made.has(path)) continue;
      made.add(path);
      add(path, directory, new Uint8Array());
    }
    add(entry.path, regular | (entry.mode ?? 0o644), entry.content);
  }
  inode = -1;
  add('TRAILER!!!', 0, new Uint8Array());
  return padded(Buffer.concat(parts), 512);
}

function padded(bytes: Buffer, to: number): Buffer {
  const missing = (to - (bytes.length % to)) % to;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
