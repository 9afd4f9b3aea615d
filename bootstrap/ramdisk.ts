/** The deploy ramdisk: built by our own image pipeline, then put where the boot service serves it from. */
import { createHash } from 'node:crypto';
import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { buildRamdisk, type RamdiskManifest, ramdiskKey } from '../services/builder/index.ts';
import { statePaths } from '../services/core/config.ts';
import type { Ids } from './user.ts';

export interface RamdiskWish {
  stateDir: string;
  profile: 'lab' | 'hardware';
  ids: Ids;
  say: (line: string) => void;
}

/** Builder's name of each file, and the name under which boot serves it. */
const files = { kernel: 'kernel', initrd: 'ramdisk', 'manifest.json': 'manifest.json' } as const;

/** Returns what it did, or nothing when the ramdisk that is there is the one that would be built. */
export async function ensureRamdisk({ stateDir, profile, ids, say }: RamdiskWish): Promise<string | undefined> {
  const paths = statePaths(stateDir);
  const place = join(paths.boot, 'ramdisk', profile);
  if (isServed(place, await ramdiskKey({ profile }))) return undefined;
  const built = await buildRamdisk({
    profile,
    out: join(paths.cache, 'ramdisks'),
    cache: join(paths.cache, 'builder'),
    onProgress: (progress) =>
      say([progress.phase, progress.element, progress.script, progress.line].filter(Boolean).join(': ')),
  });
  mkdirSync(place, { recursive: true, mode: 0o755 });
  // The manifest goes last: with it the place is complete.
  for (const [from, to] of Object.entries(files)) {
    copyFileSync(join(built.directory, from), join(place, `${to}.new`));
    chownSync(join(place, `${to}.new`), ids.uid, ids.gid);
    renameSync(join(place, `${to}.new`), join(place, to));
  }
  return `profile ${profile}, ${(built.manifest.initrd.size / 1e6).toFixed(1)} MB`;
}

/** Whether the ramdisk that would be built is there: from an earlier run, or from a bundle, on a machine that could not build one. */
function isServed(place: string, key: string): boolean {
  const manifest = readManifest(join(place, 'manifest.json'));
  if (manifest?.key !== key) return false;
  const isWhole = (file: 'kernel' | 'initrd') => {
    const at = join(place, files[file]);
    return existsSync(at) && createHash('sha256').update(readFileSync(at)).digest('hex') === manifest[file].sha256;
  };
  return isWhole('kernel') && isWhole('initrd');
}

function readManifest(path: string): RamdiskManifest | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RamdiskManifest;
  } catch {
    return null;
  }
}
