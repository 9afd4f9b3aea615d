/**
 * `npm run -s bench -- images`: CPU seconds of our builder beside disk-image-create for the same elements in the same run, and what one changed layer costs a node on the wire.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { cpuSeconds } from '../../../services/builder/command.ts';
import type { Element } from '../../../services/builder/resolve.ts';
import { runDib } from '../../setup/dib.ts';
import type { Bench } from '../row.ts';

const HOUSE = resolve(import.meta.dirname, '../../..');
const CLI = join(HOUSE, 'services/cli/undercloud.ts');
const ELEMENTS = ['debian-minimal', 'vm'];
const UPSTREAM = '/usr/lib/python3/dist-packages/diskimage_builder';
const MIB = 1024 * 1024;

function say(text: string): void {
  console.error(text);
}

async function measured<Result>(work: () => Promise<Result>): Promise<{ cpu: number; result: Result }> {
  const before = cpuSeconds();
  const result = await work();
  return { cpu: cpuSeconds() - before, result };
}

/** Our command as an operator calls it, in a process of its own. */
async function undercloud(args: readonly string[], cwd: string, elementsPath = ''): Promise<string> {
  const env = {
    ...process.env,
    ...(elementsPath === '' ? {} : { ELEMENTS_PATH: elementsPath }),
    OVERWRITE_OLD_IMAGE: '1',
  };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    err = (err + data.toString()).slice(-4000);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`undercloud ${args.join(' ')} failed with ${code}: ${err}`);
  return out;
}

/** An element whose last script writes a file of the given size: what changes late. */
async function writeLate(directory: string, mib: number, word: string): Promise<void> {
  const script = join(directory, 'late/post-install.d/90-late');
  await mkdir(join(script, '..'), { recursive: true });
  // Bytes that nothing compresses and that only the word decides.
  const command = `openssl enc -aes-128-ctr -nosalt -K $(printf '%s' ${word} | md5sum | cut -c1-32) -iv 0 </dev/zero 2>/dev/null | head -c ${mib * MIB} >/usr/share/late || true`;
  await writeFile(script, `#!/bin/bash\nset -eu\necho ${word} >/etc/late\n${mib > 0 ? `${command}\n` : ''}`);
  await chmod(script, 0o755);
}

interface Stage {
  stage: string;
  cpu: number;
}

/** What each stage of a build cost, the dearest first. */
async function stagesOf(directory: string): Promise<string> {
  const { stages } = JSON.parse(await readFile(join(directory, 'build.json'), 'utf8')) as { stages: Stage[] };
  return [...stages]
    .sort((a, b) => b.cpu - a.cpu)
    .map(({ stage, cpu }) => `${stage} ${cpu.toFixed(2)}`)
    .join(', ');
}

async function assemblyCpu(directory: string): Promise<number> {
  const { stages } = JSON.parse(await readFile(join(directory, 'build.json'), 'utf8')) as { stages: Stage[] };
  return stages
    .filter(({ stage }) => ['merge', 'grub', 'esp', 'ext4'].includes(stage))
    .reduce((sum, { cpu }) => sum + cpu, 0);
}

/** sha256 of each MiB of a file. */
function chunksOf(path: string, size: number): string[] {
  const file = openSync(path, 'r');
  const digests: string[] = [];
  const piece = Buffer.alloc(MIB);
  for (let at = 0; at < size; at += MIB) {
    const got = readSync(file, piece, 0, MIB, at);
    digests.push(createHash('sha256').update(piece.subarray(0, got)).digest('hex'));
  }
  closeSync(file);
  return digests;
}

/** What mke2fs -d makes of a tree before and after a file of 50 MB is added: the share of 1 MiB chunks that are neither zero nor had before. */
async function relaid(tree: string, work: string): Promise<{ percent: number; cpu: number }> {
  const sizes: string[][] = [];
  let cpu = 0;
  for (const name of ['a', 'b']) {
    const image = join(work, `${name}.ext4`);
    if (name === 'b') execFileSync('sh', ['-c', `head -c ${50 * MIB} /dev/urandom >${tree}/usr/share/late`]);
    // diskimage-builder's rule: what the tree takes, divided by 0.6, and 64 MiB of journal.
    const kib = Number(execFileSync('du', ['-sk', tree], { encoding: 'utf8' }).split('\t')[0]);
    const size = `${Math.ceil(kib / 0.6 / 1024) + 64}M`;
    const run = await measured(async () =>
      execFileSync(
        'mke2fs',
        [
          '-q',
          '-F',
          '-t',
          'ext4',
          '-E',
          'lazy_itable_init=0,nodiscard',
          '-U',
          '11111111-1111-4111-8111-111111111111',
          '-d',
          tree,
          image,
          size,
        ],
        { stdio: 'ignore' },
      ),
    );
    cpu = run.cpu;
    sizes.push(chunksOf(image, (await stat(image)).size));
  }
  const [before = [], after = []] = sizes;
  const had = new Set(before);
  const zero = createHash('sha256').update(Buffer.alloc(MIB)).digest('hex');
  const stored = after.filter((each) => each !== zero);
  return { percent: (100 * stored.filter((each) => !had.has(each)).length) / stored.length, cpu };
}

export const bench: Bench = async (report, { full }) => {
  await ensurePackages(['images', 'elements'], say);
  const work = await mkdtemp('/var/tmp/undercloud-bench-images-');
  try {
    const [ours, peer, elements] = ['ours', 'peer', 'elements'].map((name) => join(work, name)) as [
      string,
      string,
      string,
    ];
    for (const path of [ours, peer, elements]) await mkdir(path);
    const cache = join(work, 'cache');
    const state = ['--state', join(work, 'state')];
    const build = (types: string, name: string, ...more: string[]) =>
      undercloud(
        [...state, 'image', 'build', ...ELEMENTS, ...more, '-t', types, '-o', name, '--image-cache', cache],
        ours,
        elements,
      );

    say('ours, cold');
    const cold = await measured(() => build('qcow2', 'cold'));
    say('diskimage-builder, cold');
    const dibCold = await runDib({
      elements: ELEMENTS,
      types: ['qcow2', 'tar'],
      directory: peer,
      name: 'peer',
      cache: join(work, 'dib'),
      cold: true,
    });
    report({ name: 'cold_cpu_s', ours: cold.cpu, peer: dibCold.cpu, better: 'lower' });

    say('ours, unchanged');
    const unchanged = await measured(() => build('qcow2', 'cold'));
    await writeLate(elements, 0, 'one');
    await build('chunks', 'late-one', 'late');
    await writeLate(elements, 0, 'two');
    say('ours, a late script changed');
    const late = await measured(() => build('qcow2', 'late-two', 'late'));
    say(await stagesOf(join(ours, 'late-two.d')));
    say('diskimage-builder, warm');
    const dibWarm = full
      ? await runDib({ elements: ELEMENTS, types: ['qcow2'], directory: peer, name: 'warm', cache: join(work, 'dib') })
      : dibCold;
    report({ name: 'unchanged_cpu_s', ours: unchanged.cpu, peer: dibWarm.cpu, better: 'lower' });
    report({ name: 'late_script_changed_cpu_s', ours: late.cpu, peer: dibWarm.cpu, better: 'lower' });

    await writeLate(elements, 50, 'three');
    const packed = await measured(() => build('chunks', 'late-three', 'late'));
    say(
      `a late script changed by 50 MB, as chunks: ${packed.cpu.toFixed(1)} s; ${await stagesOf(join(ours, 'late-three.d'))}`,
    );
    const diff = JSON.parse(
      await undercloud(
        [...state, '--json', 'image', 'diff', join(ours, 'late-one.d'), join(ours, 'late-three.d')],
        ours,
      ),
    ) as { wire: { fetched: number; chunks: number } };
    const tree = join(work, 'tree');
    await mkdir(tree);
    execFileSync('tar', ['-C', tree, '-xpf', join(peer, 'peer.tar'), '--numeric-owner']);
    const plain = await relaid(tree, work);
    report({
      name: 'assembly_cpu_s',
      // A build whose disk is written out: for a qcow2 file alone it need not be.
      ours: await assemblyCpu(join(ours, 'late-three.d')),
      peer: plain.cpu,
      better: 'lower',
    });
    report({
      name: 'resent_after_50MB_layer_percent',
      ours: (100 * diff.wire.fetched) / diff.wire.chunks,
      peer: plain.percent,
      better: 'lower',
    });

    const { findElements, resolveElements } = await import('../../../services/builder/resolve.ts');
    const names = readdirSync(join(UPSTREAM, 'elements')).filter((name) => !name.startsWith('_'));
    const known = await findElements([join(UPSTREAM, 'elements')]);
    const chosen = resolvable(names, known, (list) => resolveElements(list, known));
    const resolution = await measured(async () =>
      resolveElements(chosen, await findElements([join(UPSTREAM, 'elements')])),
    );
    const python = await measured(async () =>
      execFileSync('/usr/bin/python3', [join(UPSTREAM, 'lib/element-info.py'), ...chosen], {
        env: { PATH: '/usr/bin:/bin', ELEMENTS_PATH: join(UPSTREAM, 'elements') },
        stdio: 'ignore',
      }),
    );
    say(`${resolution.result.length} elements resolved`);
    report({ name: 'resolve_cpu_s', ours: resolution.cpu, peer: python.cpu, better: 'lower' });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};

/** Fifty of the packaged elements that go together on one Debian image. */
function resolvable(
  names: readonly string[],
  known: ReadonlyMap<string, Element>,
  resolve: (names: readonly string[]) => unknown,
): string[] {
  const chosen = ['debian-minimal', 'block-device-mbr'];
  for (const name of names) {
    if (chosen.length === 50) break;
    if (chosen.includes(name) || (known.get(name)?.provides.length ?? 0) > 0) continue;
    try {
      resolve([...chosen, name]);
      chosen.push(name);
    } catch {
      // Of another distribution, or something that stands for what is chosen already.
    }
  }
  return chosen;
}
