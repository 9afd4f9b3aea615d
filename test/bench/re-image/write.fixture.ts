/** The agent's writer in a process of its own, whose kernel counts what it writes: `write.fixture.ts DISK IMAGE_INFO_JSON`, answers JSON. */
import { readFileSync } from 'node:fs';
import { createFetcher } from '../../../services/agent/fetcher.ts';
import { createSimulatedHardware } from '../../../services/agent/simulated.ts';
import { writeImage } from '../../../services/agent/write-image.ts';
import { readImageInfo } from '../../../services/ipa/index.ts';

const [path = '', json = ''] = process.argv.slice(2);
const hardware = createSimulatedHardware({ disks: [path], addresses: [] });
const [disk] = await hardware.disks();
const fetcher = createFetcher();
/** proc(5): bytes handed to write(2) and its kin. Beside the disk's those are the requests to the store, some kilobytes. */
const handed = () => Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
const before = handed();
const { bytes } = await writeImage({
  hardware,
  disk: disk!,
  info: readImageInfo(JSON.parse(json)),
  fetcher,
  onProgress() {},
  log: console.error,
  signal: new AbortController().signal,
});
const written = handed() - before;
fetcher.close();
console.log(JSON.stringify({ ...bytes!, handed: written }));
