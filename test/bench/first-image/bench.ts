/** `npm run -s bench -- first-image`: MiB a second of a first image onto a node's disk, beside `curl | zstd -d | dd` in the same virtual machine. */
import type { Bench } from '../row.ts';
import { firstImage } from './machine.ts';

export const bench: Bench = async (report) => {
  const { ours, process, theirs } = await firstImage();
  report({ name: 'first_image_mib_s', ours, peer: theirs, better: 'higher' });
  report({ name: 'first_image_with_process_start_mib_s', ours: process, peer: theirs, better: 'higher' });
};
