import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BuildError } from './progress.ts';

/** What a dynamically linked program needs to start. */
export interface Linkage {
  interpreter?: string;
  needed: string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

function textAt(file: Buffer, offset: number): string {
  const end = file.indexOf(0, offset);
  return file.toString('latin1', offset, end === -1 ? file.length : end);
}

/** Reads DT_NEEDED and PT_INTERP of a 64-bit little-endian ELF file (gABI, "Program Loading and Dynamic Linking"). A static program or a script needs nothing. */
export function readLinkage(file: Buffer): Linkage {
  const linkage: Linkage = { needed: [] };
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) return linkage;
  const table = Number(file.readBigUInt64LE(32));
  const size = file.readUInt16LE(54);
  const count = file.readUInt16LE(56);
  const loads: { address: bigint; offset: bigint; size: bigint }[] = [];
  let dynamic: { offset: number; size: number } | undefined;
  for (let i = 0; i < count; i++) {
    const at = table + i * size;
    if (at + 56 > file.length) break;
    const type = file.readUInt32LE(at);
    const offset = file.readBigUInt64LE(at + 8);
    const fileSize = file.readBigUInt64LE(at + 32);
    if (type === PT_LOAD) loads.push({ address: file.readBigUInt64LE(at + 16), offset, size: fileSize });
    if (type === PT_DYNAMIC) dynamic = { offset: Number(offset), size: Number(fileSize) };
    if (type === PT_INTERP) linkage.interpreter = textAt(file, Number(offset));
  }
  if (dynamic === undefined) return linkage;
  const needed: bigint[] = [];
  let strings = 0n;
  for (let at = dynamic.offset; at + 16 <= Math.min(dynamic.offset + dynamic.size, file.length); at += 16) {
    const tag = file.readBigInt64LE(at);
    const value = file.readBigUInt64LE(at + 8);
    if (tag === DT_NEEDED) needed.push(value);
    if (tag === DT_STRTAB) strings = value;
  }
  const load = loads.find(({ address, size: length }) => strings >= address && strings < address + length);
  if (load === undefined) return linkage;
  const base = strings - load.address + load.offset;
  linkage.needed = needed.map((offset) => textAt(file, Number(base + offset)));
  return linkage;
}

/**
 * The file without what no program header names: symbol and section tables, which only debuggers read (Node's are 18 MB). Programs without section headers are valid
 * (gABI: an executable needs program headers only). Anything but a 64-bit little-endian ELF file comes back as it is.
 */
export function withoutSymbols(file: Buffer): Buffer {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) return file;
  const table = Number(file.readBigUInt64LE(32));
  const size = file.readUInt16LE(54);
  const count = file.readUInt16LE(56);
  let end = table + size * count;
  for (let i = 0; i < count; i++) {
    const at = table + i * size;
    if (at + 56 > file.length) return file;
    end = Math.max(end, Number(file.readBigUInt64LE(at + 8) + file.readBigUInt64LE(at + 32)));
  }
  if (end > file.length) return file;
  const short = Buffer.from(file.subarray(0, end));
  short.writeBigUInt64LE(0n, 40);
  short.writeUInt16LE(0, 60);
  short.writeUInt16LE(0, 62);
  return short;
}

const LIBRARIES = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib', 'lib', 'lib64', 'usr/lib64'];

async function findLibrary(tree: string, name: string): Promise<string | undefined> {
  for (const directory of LIBRARIES) {
    const path = join(tree, directory, name);
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  return undefined;
}

/**
 * Copies programs from an unpacked tree into a merged-/usr target, with every library they need. `programs` maps a path in the target (usr/sbin/kexec) to the file it comes
 * from. A library that the tree does not hold is an error that names the program.
 */
export async function copyPrograms(tree: string, target: string, programs: ReadonlyMap<string, string>): Promise<void> {
  const queue = [...programs].map(([place, source]) => ({ place, source, wanted: place }));
  const done = new Set<string>();
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
    if (done.has(item.place)) continue;
    done.add(item.place);
    const file = await readFile(item.source).catch(() => {
      throw new BuildError(`The ramdisk's program /${item!.place} is not in its packages (${item!.source}).`);
    });
    const destination = join(target, item.place);
    await mkdir(dirname(destination), { recursive: true });
    await writeFile(destination, withoutSymbols(file), { mode: 0o755 });
    const { interpreter, needed } = readLinkage(file);
    const libraries = interpreter === undefined ? needed : [...needed, basename(interpreter)];
    for (const name of libraries) {
      const source = await findLibrary(tree, name);
      if (source === undefined)
        throw new BuildError(`The ramdisk's /${item.place} needs ${name}, which none of its packages brings.`);
      const loader = interpreter !== undefined && name === basename(interpreter);
      queue.push({
        place: loader ? `usr/lib64/${name}` : `usr/lib/x86_64-linux-gnu/${name}`,
        source,
        wanted: item.place,
      });
    }
  }
}

/** The links of a merged /usr: /bin, /sbin, /lib and /lib64 lead into /usr. */
export async function linkUsr(target: string): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(target, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(target, name));
  }
}
