import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { CHUNK_SIZE, parseChunkIndex } from '../ipa/index.ts';
import { bootQemu } from './boot-qemu.ts';
import { type BootResult, type BootTestOptions, HEALTH_DIRECTORY, rootPartition } from './boot-result.ts';
import { exists, openWork, removeTree } from './cache.ts';
import { endGroup, runCommand } from './command.ts';
import { type ImageManifest, readManifest } from './manifest.ts';
import { BuildError } from './progress.ts';

/** The disk of a finished image as a raw file. */
async function rawOf(options: BootTestOptions, manifest: ImageManifest, work: string): Promise<string> {
  if (options.raw !== undefined) return options.raw;
  const there = join(options.directory, `${manifest.name}.raw`);
  if (await exists(there)) return there;
  const text = await readFile(join(options.directory, 'index.json'), 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new BuildError(
      `Image "${manifest.name}" has neither chunks nor a raw file: build it with -t chunks or -t raw to boot it.`,
    );
  const index = parseChunkIndex(text);
  const path = join(work, 'disk.raw');
  const file = await open(path, 'w');
  const objects = await Promise.all(index.objects.map(({ name }) => open(join(options.directory, 'objects', name))));
  try {
    await file.truncate(index.size);
    for (const [at, chunk] of index.chunks.entries()) {
      if (chunk === null) continue;
      const [object, offset, length] = chunk;
      const frame = Buffer.alloc(length);
      await objects[object]!.read(frame, 0, length, offset);
      await file.write(zstdDecompressSync(frame), 0, undefined, at * CHUNK_SIZE);
    }
  } finally {
    for (const each of [file, ...objects]) await each.close();
  }
  return path;
}

// A namespace of its own for the mounts; the image stays as it is, changes go to memory. No registration: machines without systemd have nobody to register with.
const NSPAWN = `
set -e
mkdir -p "$1/lower" "$1/rw" "$1/root"
if [ -d "$2" ]; then mount --bind "$2" "$1/lower"
else mount -o ro,noload,loop,offset="$3",sizelimit="$4" "$2" "$1/lower" 2>/dev/null || mount -o ro,loop,offset="$3",sizelimit="$4" "$2" "$1/lower"
fi
mount -t tmpfs -o mode=755 rw "$1/rw"; mkdir "$1/rw/up" "$1/rw/work"
mount -t overlay -o lowerdir="$1/lower",upperdir="$1/rw/up",workdir="$1/rw/work" overlay "$1/root"
: >"$1/root/etc/fstab"
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --resolv-conf=off --timezone=off --link-journal=no --console=pipe -D "$1/root" --boot -- systemd.log_target=console systemd.journald.forward_to_console=no
`;

/** The first process of the container: the child of systemd-nspawn. */
async function containerPid(child: ChildProcess): Promise<number | undefined> {
  const children = async (pid: number): Promise<number[]> =>
    (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''))
      .split(' ')
      .filter(Boolean)
      .map(Number);
  let found: number | undefined;
  const visit = async (pid: number): Promise<void> => {
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (name === 'systemd' && /^NSpid:\s+\d+\s+(\d+\s+)?1$/m.test(status)) found ??= pid;
    for (const each of await children(pid)) await visit(each);
  };
  await visit(child.pid!);
  return found;
}

async function bootNspawn(raw: string, work: string, options: BootTestOptions): Promise<BootResult> {
  const { start, size } = (await stat(raw)).isDirectory() ? { start: 0, size: 0 } : await rootPartition(raw);
  const began = Date.now();
  const console: string[] = [];
  const unit = ['--mount', '--propagation', 'private', '--fork', '--kill-child'];
  const child = spawn('unshare', [...unit, 'bash', '-c', NSPAWN, 'nspawn', work, raw, String(start), String(size)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const take = (data: Buffer): void => {
    for (const line of data.toString().split(/\r?\n/)) if (line !== '') console.push(line);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const ended = once(child, 'close');
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  const checks: BootResult['checks'] = [];
  let pid: number | undefined;
  try {
    while (pid === undefined && child.exitCode === null && Date.now() < deadline) {
      pid = await containerPid(child);
      if (pid === undefined) await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
    if (pid === undefined)
      throw new BuildError(
        `The image did not start in systemd-nspawn: ${console.slice(-5).join(' | ') || 'nothing was said'}`,
      );
    const inside = (argv: readonly string[]): Promise<string> =>
      runCommand(
        'nsenter',
        [`--target=${pid}`, '--mount', '--pid', '--uts', '--ipc', '--net', '--root', '--', ...argv],
        {
          capture: true,
          env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
          signal: AbortSignal.timeout(Math.max(1, deadline - Date.now())),
        },
      );
    // Until the manager answers, systemctl fails at once; then --wait returns when the boot is over, with "degraded" as a failure.
    let state = '';
    while (state === '' && Date.now() < deadline) {
      state = (await inside(['sh', '-c', 'systemctl is-system-running --wait 2>/dev/null || true'])).trim();
      if (!/running|degraded|maintenance|stopping/.test(state)) {
        state = '';
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    const failed = (
      await inside(['sh', '-c', 'systemctl list-units --state=failed --plain --no-legend 2>/dev/null || true'])
    ).trim();
    checks.push({ name: 'system is running', passed: state === 'running' || failed === '', output: failed || state });
    for (const name of (await inside(['sh', '-c', `ls ${HEALTH_DIRECTORY} 2>/dev/null || true`]))
      .split('\n')
      .filter(Boolean)) {
      const command = `${HEALTH_DIRECTORY}/${name} 2>&1; echo "exit=$?"`;
      const output = (await inside(['sh', '-c', command])).trim();
      checks.push({ name, passed: output.endsWith('exit=0'), output: output.replace(/\n?exit=\d+$/, '') });
    }
    return {
      how: 'nspawn',
      passed: checks.every(({ passed }) => passed),
      seconds: (Date.now() - began) / 1000,
      checks,
      console: console.slice(-40),
    };
  } finally {
    // The container's first process outlives its supervisor; with it go all others and the mounts.
    pid ??= await containerPid(child);
    if (pid !== undefined && child.exitCode === null) process.kill(pid, 'SIGKILL');
    endGroup(child);
    await ended;
  }
}

/** Boots a finished image, waits until it is up and runs its health checks. The image is not changed. */
export async function testImage(options: BootTestOptions): Promise<BootResult> {
  const manifest = await readManifest(options.directory);
  if (manifest === undefined) throw new BuildError(`${options.directory} holds no finished image: build it first.`);
  await mkdir(options.cache, { recursive: true });
  const work = await openWork(options.cache);
  try {
    const raw = await rawOf(options, manifest, work);
    return options.how === 'nspawn' ? await bootNspawn(raw, work, options) : await bootQemu(raw, work, options);
  } finally {
    await removeTree(work);
  }
}
