/**
 * How images get to a node, on a real one, where no way leads out: a machine with a network makes a bundle; a bare Debian without one (a
 * minimal tree without Node, PostgreSQL or QEMU, in namespaces with nothing but a loopback interface) unpacks its program from it, loads
 * the rest, bootstraps, registers the images and deploys a BIOS node from them. The node boots and grows its image; then it is given the
 * next one, in which a layer of 50 MB is new, beside a partition that has to stay.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unpackByHand } from '../../bootstrap/index.ts';
import { statePaths } from '../../services/core/config.ts';
import { labLayout } from '../../services/lab/layout.ts';
import { launcher, type Ran, run } from '../lab/undercloud.fixture.ts';
import { type BareMachine, bareMachine } from './bare-machine.fixture.ts';
import { writeGold } from './gold.fixture.ts';

const scratch = mkdtempSync('/var/tmp/uc-delivery-');
const at = (...names: string[]) => join(scratch, ...names);
const [here, there, program] = [at('here'), at('there'), at('program')];
const own = join(program, 'bootstrap', 'undercloud');
// Layers are kept between runs.
const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
const minutes = 60_000;
const MIB = 2 ** 20;

async function well(said: Promise<Ran>, what: string): Promise<string> {
  const { code, stdout, stderr } = await said;
  expect(code, `${what}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}
const online = (...args: string[]) => well(run(launcher, ['--state', here, ...args]), args.join(' '));

/** The machine without a network. It sees the scratch directory under its own path. */
let machine: BareMachine | undefined;
const inside = (command: string, ...args: string[]): Promise<Ran> => machine!.run(command, args);
const offline = (...args: string[]) => well(inside(own, '--state', there, ...args), args.join(' '));
/** The stock client of this machine, over that one's loopback interface. */
const stock = (...args: string[]) =>
  well(
    machine!.over('baremetal', args, { OS_CLIENT_CONFIG_FILE: statePaths(there).clouds, OS_CLOUD: 'undercloud' }),
    `baremetal ${args.join(' ')}`,
  );

beforeAll(async () => {
  // The service user has to pass through.
  chmodSync(scratch, 0o755);
  writeGold(scratch);
  await online('bootstrap', '--lab', '--listen', '127.0.0.1:26386');
  for (const word of ['a', 'b'])
    await online(
      ...['image', 'build', at('gold.yaml'), '--image', `gold-${word}`],
      ...['--elements-path', at('elements'), '--image-cache', cache, '--no-register'],
    );
  await online('stop');
  machine = await bareMachine(cache, scratch);
}, 15 * minutes);

afterAll(async () => {
  if (machine) {
    await inside(own, '--state', there, 'stop');
    await inside(own, '--state', there, 'lab', 'down');
    await machine.end();
  }
  await run(launcher, ['--state', here, 'stop']);
  await run(launcher, ['--state', here, 'lab', 'down']);
  rmSync(scratch, { recursive: true, force: true });
}, 3 * minutes);

interface Chunked {
  data: number;
  packed: number;
}

/** Raw bytes of an image that are not zeros, and what a node fetches for all of it. */
function weight(name: string): Chunked {
  const file = join(statePaths(here).cache, 'images', name, 'index.json');
  const index = JSON.parse(readFileSync(file, 'utf8')) as { chunks: unknown[]; objects: { size: number }[] };
  const packed = index.objects.reduce((sum, { size }) => sum + size, 0) + statSync(file).size;
  return { data: index.chunks.filter((chunk) => chunk !== null).length * MIB, packed };
}

const disk = () => labLayout(there).node('node-1').disk;
const node = 'node-1';
let consoleSeen = 0;

/** Waits for words on the node's console, in any order, after those that have been waited for. */
async function onConsole(...wanted: RegExp[]): Promise<void> {
  const tail = spawn('tail', ['-F', '-c', `+${consoleSeen + 1}`, labLayout(there).node('node-1').consoleLog]);
  let text = '';
  try {
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new Error(`${wanted.join(' and ')} did not come:\n${text.slice(-3000)}`)),
        6 * minutes,
      );
      tail.stdout.on('data', (data: Buffer) => {
        text += data.toString('latin1');
        if (!wanted.every((words) => words.test(text))) return;
        clearTimeout(deadline);
        resolve();
      });
    });
  } finally {
    tail.kill();
    consoleSeen += text.length;
  }
}

interface Partition {
  start: number;
  size: number;
  name?: string;
}

const partitions = (): Partition[] =>
  (
    JSON.parse(execFileSync('sfdisk', ['--json', disk()], { encoding: 'utf8' })) as {
      partitiontable: { partitions: Partition[] };
    }
  ).partitiontable.partitions;
const fileOf = (partition: Partition, path: string): string =>
  execFileSync('debugfs', ['-R', `cat ${path}`, `${disk()}?offset=${partition.start * 512}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** GPT with one partition at the disk's end, as an operator's earlier system has left it. */
function prepareData(): void {
  execFileSync('sfdisk', ['--quiet', disk()], {
    input: 'label: gpt\nstart=18874368, size=131072, name=data\n',
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  mkdirSync(at('data'));
  writeFileSync(at('data', 'ledger'), 'what has to stay\n');
  const file = at('data.ext4');
  writeFileSync(file, '');
  truncateSync(file, 64 * MIB);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', at('data'), file]);
  execFileSync('dd', ['bs=1M', 'seek=9216', 'conv=notrunc,sparse', 'status=none', `if=${file}`, `of=${disk()}`]);
}

interface Written {
  written: number;
  skipped: number;
  fetched: number;
}

async function lastWrite(): Promise<Written> {
  const events = JSON.parse(await offline('--json', 'node', 'timeline', node)) as { kind: string; data: Written }[];
  return events.findLast(({ kind }) => kind === 'node.image-written')!.data;
}

describe('a node of a machine without a network', () => {
  it(
    'finds an undercloud that came from a bundle',
    async () => {
      const made = JSON.parse(
        await online(
          ...['--json', 'bundle', 'create', at('all.bundle')],
          ...['--elements', at('elements'), '--debian', join(cache, 'debian'), '--image-cache', cache],
        ),
      ) as { fingerprint: string; sha256: string; segments: { part: string; length: number }[] };
      expect(made.segments.map(({ part }) => part)).toEqual([
        ...['program', 'boot', 'images', 'packages', 'debian', 'elements'],
      ]);
      // Nothing leads out, and nothing of ours is there yet.
      expect(readFileSync(machine!.proc('net/route'), 'utf8').trim().split('\n')).toHaveLength(1);
      for (const absent of ['node', 'psql', 'qemu-system-x86_64', 'ip', 'zstd', 'openssl'])
        expect((await inside('sh', '-c', `command -v ${absent}`)).code, absent).not.toBe(0);
      const byHand = [
        `echo '${made.sha256}  ${at('all.bundle')}' | sha256sum -c`,
        ...unpackByHand(at('all.bundle'), made.segments[0]!.length, program),
      ];
      for (const line of byHand) await well(inside('sh', '-ec', line), line);
      await offline('bundle', 'load', at('all.bundle'), '--trust', made.fingerprint, '--program', program);
      rmSync(at('all.bundle'));
      const said = await inside(own, '--state', there, 'bootstrap', '--lab', '--listen', '127.0.0.1:26387');
      expect(said.code, said.stderr).toBe(0);
      expect(said.stderr).toMatch(/Install Debian packages: \d+ packages/);
      console.log(said.stderr);
      for (const word of ['a', 'b']) await offline('image', 'register', `gold-${word}`);
      await offline('lab', 'up', '--nodes', '1');
      await offline('node', 'import', labLayout(there).instackenv);
    },
    10 * minutes,
  );

  it(
    'is deployed, boots, and grows its image up to the partition that was there',
    async () => {
      prepareData();
      await stock(
        'node',
        'set',
        node,
        '--instance-info',
        'image_source=gold-a',
        '--instance-info',
        'preserve_partitions=data',
      );
      await stock('node', 'deploy', node, '--wait', '600');
      await onConsole(/root grown to \d+ MiB/, /login:/);
      const first = await lastWrite();
      console.log(`first image: ${JSON.stringify({ ...first, ...weight('gold-a') })}`);
      expect(first.fetched).toBeGreaterThanOrEqual(weight('gold-a').packed * 0.95);
    },
    15 * minutes,
  );

  it(
    'gets the next image by what differs, and keeps the partition',
    async () => {
      await stock('node', 'set', node, '--instance-info', 'image_source=gold-b');
      await stock('node', 'rebuild', node, '--wait', '600');
      await onConsole(/root grown to \d+ MiB/, /login:/);
      const { written, fetched, skipped } = await lastWrite();
      const { data, packed } = weight('gold-b');
      const share = { wire: (100 * fetched) / packed, disk: (100 * written) / data };
      console.log(`next image: ${JSON.stringify({ written, fetched, skipped, data, packed, ...share })}`);
      expect(share.wire).toBeLessThanOrEqual(15);
      expect(share.disk).toBeLessThanOrEqual(15);
      await stock('node', 'power', 'off', node, '--power-timeout', '60');
      const found = partitions();
      const data_ = found.find(({ name }) => name === 'data')!;
      expect(data_).toMatchObject({ start: 18874368, size: 131072 });
      expect(fileOf(data_, '/ledger')).toBe('what has to stay\n');
      const root = found.filter(({ name }) => name !== 'data').toSorted((a, b) => b.size - a.size)[0]!;
      expect(fileOf(root, '/etc/gold')).toBe('b\n');
      expect((root.start + root.size) * 512).toBeGreaterThan(8000 * MIB);
    },
    15 * minutes,
  );
});
