/**
 * A node of its own process: writes an image to a file and gives its chunks on until it is killed.
 * Arguments: path of the disk, image_info as JSON, bytes a second that it gives. Says a line of JSON for each thing that happens.
 */
import { createFetcher } from '../../services/agent/fetcher.ts';
import { createSimulatedHardware } from '../../services/agent/simulated.ts';
import { writeImage } from '../../services/agent/write-image.ts';
import { readImageInfo } from '../../services/ipa/index.ts';

const [path = '', info = '', bytesPerSecond = ''] = process.argv.slice(2);
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
const hardware = createSimulatedHardware({ disks: [path], addresses: [] });
const [disk] = await hardware.disks();
const announce = createFetcher({ attempts: 1, idleMs: 3000 });
const fetcher = createFetcher({ backoffMs: 1 });
const limits = { bytesPerSecond: Number(bytesPerSecond) };
const timing = { idleMs: 1500, chunkMs: 4000 };
try {
  const { bytes } = await writeImage({
    hardware,
    disk: disk!,
    info: readImageInfo(JSON.parse(info)),
    fetcher,
    neighbours: { announce, host: '127.0.0.1', port: 0, lookMs: 50, limits, timing },
    onProgress: (done, _total, bytes) => say({ done, ...bytes }),
    log: (line) => say({ log: line }),
    signal: new AbortController().signal,
  });
  say({ end: bytes });
} catch (error) {
  say({ failed: String(error) });
}
