/**
 * A hundred machines boot at once, by the packets of firmware and iPXE: an address and a boot program, that program by TFTP, an address
 * again and a script, and by HTTP what the script names. Of all packets one in thirty is lost, either way. Each machine is a network
 * namespace on the bridge with real clients (busybox, curl); who gives up fails.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ip } from '../lab/namespace.fixture.ts';
import { netbootScene, type Scene } from '../lab/netboot-scene.fixture.ts';
import { run } from '../lab/undercloud.fixture.ts';

const machines = 100;
const oneLostOf = 30;
const macOf = (index: number): string => `52:54:00:cc:00:${index.toString(16).padStart(2, '0')}`;
const uuidOf = (index: number): string => `44444444-4444-4444-8444-${String(index).padStart(12, '0')}`;

/** Writes what udhcpc was given to a file and sets the address. */
const boundScript = `#!/bin/sh
[ "$1" = bound ] || exit 0
env >"$GIVEN"
ip address flush dev eth0
ip address add "$ip/24" dev eth0
`;

/** One machine, from its first DISCOVER to its ramdisk. Prints the SHA-256 of each file that it got. */
const machineScript = `#!/bin/sh
set -eu
dir=$1 bound=$2
export GIVEN=$dir/given
mkdir -p "$dir"
# As long as firmware asks (PXE 2.1 section 2.2.5: a minute).
lease() { busybox udhcpc -i eth0 -f -q -n -t 20 -T 3 -s "$bound" "$@" >"$dir/udhcpc" 2>&1; }
given() { sed -n "s/^$1=//p" "$GIVEN"; }
fetch() { curl -sS --fail --max-time 120 --retry 5 --tftp-blksize 1468 -o "$dir/$1" "$2"; sha256sum <"$dir/$1" | sed "s/-/$1/"; }
lease -x 93:0007 -V PXEClient:Arch:00007:UNDI:003016
fetch loader "tftp://$(given siaddr)/$(given boot_file)"
lease -x 93:0007 -x 0x4d:69505845 -V PXEClient:Arch:00007:UNDI:003010
fetch script "$(given boot_file)"
for file in kernel trust.cpio ramdisk; do fetch "$file" "$(grep -o "http://[^ ]*/$file" "$dir/script" | head -1)"; done
`;

/** Drops one packet in so many, in both directions. What it returns tells how many it were. */
async function lose(scene: Scene): Promise<() => Promise<number>> {
  const chain = (name: string) =>
    `chain ${name} { type filter hook ${name} priority 0; numgen random mod ${oneLostOf} 0 counter name lost drop; }`;
  const file = join(scene.scratch, 'loss.nft');
  writeFileSync(file, `table ip loss {\ncounter lost {}\n${chain('input')}\n${chain('output')}\n}\n`);
  const nft = async (...words: string[]) => {
    const { code, stdout, stderr } = await run('ip', ['netns', 'exec', scene.netns, 'nft', ...words]);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  await nft('-f', file);
  return async () => Number(/packets (\d+)/.exec(await nft('list', 'counters'))?.[1]);
}

it('each gets every byte, whatever was lost', async () => {
  const more = Object.fromEntries(Array.from({ length: machines }, (_, i) => [macOf(i), uuidOf(i)]));
  const scene = await netbootScene({ more });
  onTestFinished(() => scene.stop());
  const names = Array.from({ length: machines }, (_, i) => `${scene.netns}-${i}`);
  const [bound, machine] = ['bound', 'machine'].map((name) => join(scene.scratch, name));
  writeFileSync(bound ?? '', boundScript, { mode: 0o755 });
  writeFileSync(machine ?? '', machineScript, { mode: 0o755 });
  onTestFinished(() => {
    for (const name of names) ip(`netns del ${name}`);
  });
  for (const [i, name] of names.entries()) {
    ip(`netns add ${name}`);
    ip(`-n ${name} link add eth0 address ${macOf(i)} type veth peer name m${i} netns ${scene.netns}`);
    ip(`-n ${scene.netns} link set m${i} master br0 up`);
    ip(`-n ${name} link set eth0 up`);
    await scene.intend(macOf(i), 'agent');
  }
  const lost = await lose(scene);

  scene.lines.length = 0;
  const began = Date.now();
  const boots = await Promise.all(
    names.map(
      (name) =>
        new Promise<string>((resolve) => {
          const words = ['netns', 'exec', name, machine ?? '', join(scene.scratch, name), bound ?? ''];
          const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'pipe'] });
          let said = '';
          for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (said += part));
          child.once('close', () => resolve(said));
        }),
    ),
  );
  const seconds = (Date.now() - began) / 1000;

  const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const files = { loader: 'snponly.efi', kernel: 'ramdisk/lab/kernel', ramdisk: 'ramdisk/lab/ramdisk' };
  for (const said of boots)
    for (const [name, file] of Object.entries(files))
      expect(said).toContain(`${sum(readFileSync(join(scene.bootDir, file)))}  ${name}\n`);
  expect(new Set(boots.map((said) => /(\w+) {2}script\n/.exec(said)?.[1])).size).toBe(machines);
  const packets = await lost();
  expect(packets).toBeGreaterThan(machines);
  // A transfer whose last ACK was lost is given up only later, when its client is long gone.
  const transfers = scene.lines.filter(({ kind, data }) => kind === 'tftp.transfer' && data.end === 'done');
  const again = transfers.reduce((total, { data }) => total + Number(data.retransmitted), 0);
  expect(transfers.length).toBeGreaterThan(machines / 2);
  expect(again).toBeGreaterThan(0);
  process.stdout.write(
    `${machines} machines booted within ${seconds.toFixed(1)} s; ${packets} packets were lost, ${again} of TFTP sent again\n`,
  );
});
