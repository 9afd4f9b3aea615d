/**
 * Boots of real machines that stop, each at another point of the way: what is told of them names the point, the time that is usual
 * there, the likely cause and the remedy. The last point that can be heard of is the ramdisk's; services/boot/vigil.test.ts has all.
 */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { MachineOptions } from './netboot-machine.fixture.ts';
import { macs, netbootScene, nodes, type Scene } from './netboot-scene.fixture.ts';

let scene: Scene;

beforeAll(async () => {
  // Of a machine of which nothing is known 150 s are expected between power-on and DISCOVER, and silence is told after four times that.
  scene = await netbootScene({ speed: 0.03 });
});

afterAll(() => scene.stop());

const nft = (...words: string[]): void => {
  execFileSync('ip', ['netns', 'exec', scene.netns, 'nft', ...words], { stdio: 'pipe' });
};

/** As a firewall on the way does it: the packets come to nothing. Returns the way back. */
function blocked(what: string): () => void {
  nft('add', 'table', 'inet', 'uct');
  nft('add', 'chain', 'inet', 'uct', 'input', '{', 'type', 'filter', 'hook', 'input', 'priority', '0;', '}');
  nft('add', 'rule', 'inet', 'uct', 'input', ...what.split(' '), 'drop');
  return () => nft('delete', 'table', 'inet', 'uct');
}

function without(file: string): () => void {
  const path = join(scene.bootDir, file);
  renameSync(path, `${path}.away`);
  return () => renameSync(`${path}.away`, path);
}

/** A loader that firmware fetches and cannot start, as it will not start one that is unsigned. */
function spoilt(file: string): () => void {
  const back = without(file);
  writeFileSync(join(scene.bootDir, file), Buffer.alloc(20_000, 'no program '));
  return back;
}

interface Stop {
  readonly at: string;
  readonly node: number;
  /** The card that the machine boots from: a stranger's where it is not the node's own. */
  readonly card?: number;
  readonly machine: Pick<MachineOptions, 'firmware' | 'netboot'>;
  readonly arrange: () => () => void;
  readonly told: RegExp;
}

const bios = { firmware: 'bios', netboot: 'rom' } as const;
const nothing = () => () => {};

const stops: readonly Stop[] = [
  {
    at: 'power-on',
    node: 0,
    card: 3,
    machine: bios,
    arrange: nothing,
    told: /^silent for .* since it was switched on; no boot of QEMU has come further yet, and machines of other models take 4\.5 s at most\. Likely: 52:54:00:bb:00:01 asked for an address since, and no node has that MAC: .*`baremetal port create --node node-01 52:54:00:bb:00:01`/,
  },
  {
    at: 'asks',
    node: 1,
    machine: { firmware: 'uefi', netboot: 'native' },
    arrange: () => blocked('udp dport 69'),
    told: /since its firmware was given an address and a boot file; .* Likely: its request for snponly\.efi does not arrive: TFTP \(UDP 69\) or HTTP \(TCP 8088\) is blocked on the way\. Let UDP 69, /,
  },
  {
    at: 'loader',
    node: 1,
    machine: { firmware: 'uefi', netboot: 'native' },
    arrange: () => spoilt('snponly.efi'),
    told: /since it fetched its boot program; .* Likely: snponly\.efi does not start: Secure Boot refuses .*capability secure_boot:true/,
  },
  {
    at: 'second',
    node: 0,
    machine: bios,
    arrange: () => blocked('tcp dport 8088'),
    told: /since its boot program was answered; .* Likely: its boot program got its address and no further: TCP 8088 .* is blocked on the way\. Let TCP 8088 pass/,
  },
  {
    at: 'script',
    node: 0,
    machine: bios,
    arrange: () => without('ramdisk/lab/kernel'),
    told: /since it fetched its script; .* Likely: kernel is not among the boot files\. Run `undercloud bootstrap` again/,
  },
  {
    at: 'ramdisk',
    node: 0,
    machine: bios,
    arrange: nothing,
    told: /since it fetched the ramdisk; .* Likely: the ramdisk does not come up: .*512 MB of memory are needed/,
  },
];

it.each(stops)(
  'a boot that stops at “$at” says so',
  async ({ at, node, card = node, machine: options, arrange, told }) => {
    const mac = macs[node] ?? '';
    await scene.intend(mac, 'agent');
    const undo = arrange();
    scene.lines.length = 0;
    await scene.switchedOn(mac);
    const machine = scene.machine(card, options);
    try {
      const silent = await scene.until(`it is told that it is silent at ${at}`, 120, () =>
        scene.lines.find(({ kind, data }) => kind === 'boot.silent' && data.step === at),
      );
      process.stdout.write(`${at}: ${silent.data.text}\n`);
      expect(silent.subject.id).toBe(nodes[mac as keyof typeof nodes]);
      expect(silent.data.text).toMatch(told);
    } finally {
      await machine.stop();
      undo();
    }
  },
);
