/** The agent as the ramdisk carries it: plain JavaScript, because stripping types costs the smallest machines a second at each boot. */
import { readdir, readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';

const SERVICES = path.resolve(import.meta.dirname, '..');
/** The agent needs nothing but its own room, the protocol's, and Node. */
const ROOMS = ['agent', 'ipa'];
/** Not needed in the ramdisk: this file. */
const LEFT_OUT = new Set(['ramdisk-files.ts', 'index.ts', 'simulated.ts']);

export interface RamdiskFile {
  /** Relative to a folder of the builder's choice. */
  path: string;
  content: string;
}

/** All files of the agent; start it by `node <folder>/agent/main.js`. Types are replaced by blanks, so lines and columns stay true. */
export async function ramdiskFiles(): Promise<RamdiskFile[]> {
  const files: RamdiskFile[] = [{ path: 'package.json', content: '{"type":"module"}\n' }];
  for (const room of ROOMS) {
    for (const name of (await readdir(path.join(SERVICES, room))).sort()) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts') || (room === 'agent' && LEFT_OUT.has(name))) continue;
      const source = stripTypeScriptTypes(await readFile(path.join(SERVICES, room, name), 'utf8'));
      const content = source.replace(/(\bfrom '\.{1,2}\/[^']*)\.ts'/g, "$1.js'");
      files.push({ path: `${room}/${name.replace(/\.ts$/, '.js')}`, content });
    }
  }
  return files;
}
