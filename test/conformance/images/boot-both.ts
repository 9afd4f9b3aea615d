/** Both builders' results started: the trees in systemd-nspawn, the disks with their boot loaders in an emulated machine. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BootResult, type BootTestOptions, testImage } from '../../../services/builder/index.ts';
import type { BothBuilt } from './build-both.ts';

export type Outcome = Pick<BootResult, 'passed' | 'seconds' | 'checks'>;
export interface Boots {
  how: string;
  ours: Outcome;
  peer: Outcome;
}

/** What a boot of the peer's result once showed: it is the same result until its key changes. */
async function remembered(path: string, key: string, boot: () => Promise<Outcome>): Promise<Outcome> {
  const before = await readFile(path, 'utf8').catch(() => undefined);
  if (before !== undefined) {
    const { key: old, outcome } = JSON.parse(before) as { key: string; outcome: Outcome };
    if (old === key) return outcome;
  }
  const { passed, seconds, checks } = await boot();
  const outcome = { passed, seconds, checks };
  // A boot that failed for want of time on a busy machine is tried again the next time.
  if (passed || checks.some(({ name }) => name === 'system is running'))
    await writeFile(path, JSON.stringify({ key, outcome }));
  return outcome;
}

export async function bootBoth(
  both: BothBuilt,
  { cache, firmware }: { cache: string; firmware?: 'bios' | 'uefi' },
): Promise<Boots[]> {
  const { directory } = both.ours;
  const raw = both.ours.files.find((file) => file.endsWith('.raw'))!;
  const nspawn: BootTestOptions = { directory, cache, how: 'nspawn', timeoutSeconds: 240 };
  const boots: Boots[] = [
    {
      how: 'systemd-nspawn',
      ours: await testImage({ ...nspawn, raw }),
      peer: await remembered(join(both.place, 'peer.nspawn.json'), both.peerKey, () =>
        testImage({ ...nspawn, raw: both.peerTree }),
      ),
    },
  ];
  if (firmware === undefined) return boots;
  const qemu: BootTestOptions = { directory, cache, how: 'qemu', firmware, timeoutSeconds: 900 };
  boots.push({
    how: `whole disk, ${firmware === 'uefi' ? 'UEFI' : 'BIOS'}`,
    ours: await testImage({ ...qemu, raw }),
    peer: await remembered(both.peerDiskBoot, both.peerKey, () => testImage({ ...qemu, raw: both.peerDisk })),
  });
  return boots;
}
