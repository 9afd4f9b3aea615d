/**
 * From the command to the BMC to the request for the iPXE script, on the lab's own machines as `lab up` makes them: BIOS and UEFI with
 * iPXE in the card's ROM (its defaults), and UEFI's own PXE. Beside it dnsmasq as its documentation would have it, router advertisements
 * included, on the same machines. Seconds are those of the wall, the median of three boots: quiet machines only.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { enterNamespace } from '../../../services/core/sockets.ts';
import { type Lab, type LabNode, labCommand, labDown, labUp } from '../../../services/lab/index.ts';
import { netbootScene } from '../../lab/netboot-scene.fixture.ts';
import { hear, splitOf, splitText } from '../../lab/netboot-split.fixture.ts';
import { networkPeers } from '../../setup/peers/network.ts';
import { peerRoot } from '../../setup/peers/root.ts';
import { end } from '../network/wire.ts';
import type { Bench } from '../row.ts';

const boots = 3;
const shapes = [
  { row: 'bios', shape: { firmware: 'bios' } },
  { row: 'uefi', shape: { firmware: 'uefi' } },
  { row: 'uefi_own_pxe', shape: { firmware: 'uefi', pxe: 'firmware' } },
] as const;

/** Somebody who answers the lab's machines. */
interface Answerer {
  readonly name: string;
  /** Makes ready for that node's boot. Returns who resolves when the node has asked for its script. */
  expect(node: LabNode): Promise<() => Promise<unknown>>;
  stop(): Promise<void>;
}

async function ours(lab: Lab): Promise<Answerer> {
  const uuids = lab.nodes.map(({ mac, uuid }) => [mac, uuid]);
  const scene = await netbootScene({ on: lab.netns, more: Object.fromEntries(uuids) });
  return {
    name: 'ours',
    async expect(node) {
      await scene.intend(node.mac, 'agent');
      scene.lines.length = 0;
      const asked = ({ kind, data }: (typeof scene.lines)[number]) =>
        kind === 'http.fetch' && data.file === 'script.ipxe';
      return () => scene.until(`${node.name} asks for its script`, 60, () => scene.lines.find(asked));
    },
    stop: () => scene.stop(),
  };
}

/** Says a line when it listens, and one for each request. */
const scriptServer = `
  require('node:http')
    .createServer((_request, response) => { console.log('asked'); response.end('#!ipxe\\nshell\\n'); })
    .listen(8088, '192.0.2.1', () => console.log('listens'));`;

async function dnsmasq(lab: Lab): Promise<Answerer> {
  const root = peerRoot(networkPeers);
  mkdirSync(join(root, 'srv/boot'), { recursive: true });
  copyFileSync('/usr/lib/ipxe/snponly.efi', join(root, 'srv/boot/snponly.efi'));
  const ip = (...words: string[]) => execFileSync('ip', ['-n', lab.netns.name, ...words]);
  // It advertises itself only where it has an address of the prefix.
  ip('address', 'replace', 'fd00:77::1/64', 'dev', 'br0', 'nodad');
  const words = [
    ...['dnsmasq', '-k', '-C', '/dev/null', '--port=0', '--interface=br0', '--bind-interfaces', '--user=root'],
    ...['--pid-file=', '--dhcp-leasefile=/dev/null', '--leasefile-ro', '--no-ping', '--dhcp-authoritative'],
    ...['--dhcp-range=192.0.2.100,192.0.2.150', '--enable-ra', '--dhcp-range=fd00:77::,ra-only'],
    ...[
      '--enable-tftp',
      '--tftp-root=/srv/boot',
      '--dhcp-match=set:ipxe,175',
      '--dhcp-match=set:efi,option:client-arch,7',
    ],
    ...['--dhcp-boot=tag:ipxe,http://192.0.2.1:8088/script.ipxe', '--dhcp-boot=tag:efi,tag:!ipxe,snponly.efi'],
    '--dhcp-option=encap:175,176,1b',
  ];
  const http = enterNamespace(lab.netns.file, () =>
    spawn(process.execPath, ['-e', scriptServer], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  await once(http.stdout, 'data');
  const server = enterNamespace(lab.netns.file, () =>
    spawn('chroot', [root, ...words], { stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  return {
    name: 'dnsmasq',
    async expect() {
      const request = once(http.stdout, 'data', { signal: AbortSignal.timeout(60_000) });
      // Looked at only when the machine is on.
      request.catch(() => {});
      return () => request;
    },
    async stop() {
      await Promise.all([end(server), end(http)]);
      ip('address', 'del', 'fd00:77::1/64', 'dev', 'br0');
      rmSync(join(root, 'srv/boot/snponly.efi'));
    },
  };
}

/** As an operator's tool: it waits for the BMC's answer. */
function power(stateDir: string, { bmc }: LabNode, word: 'on' | 'off'): void {
  const target = [
    '-I',
    'lanplus',
    '-C',
    '3',
    '-H',
    bmc.address,
    '-p',
    String(bmc.port),
    '-U',
    bmc.user,
    '-P',
    bmc.password,
  ];
  const [program, ...words] = labCommand(stateDir, ['ipmitool', ...target, 'chassis', 'power', word]);
  execFileSync(program, words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function bootOnce(stateDir: string, lab: Lab, node: LabNode, answerer: Answerer, row: string): Promise<number> {
  const heard = await hear(lab.netns.file, `tap${node.index}`, join(stateDir, 'boot.pcap'));
  const asked = await answerer.expect(node);
  const startedAt = Date.now();
  power(stateDir, node, 'on');
  try {
    await asked();
  } finally {
    power(stateDir, node, 'off');
  }
  const split = splitOf(await heard(node.mac), startedAt);
  console.error(`${row}, ${answerer.name}: ${splitText(split)}`);
  return split?.script ?? Number.POSITIVE_INFINITY;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

export const bench: Bench = async (report) => {
  await ensurePackages(['lab', 'images', 'tests']);
  const stateDir = mkdtempSync('/var/tmp/uc-bench-netboot-');
  chmodSync(stateDir, 0o755);
  try {
    const lab = await labUp({ stateDir, nodes: shapes.length, shapes: shapes.map(({ shape }) => shape) });
    const figures: number[][] = [];
    for (const begin of [ours, dnsmasq]) {
      const answerer = await begin(lab);
      try {
        const medians: number[] = [];
        for (const [i, { row }] of shapes.entries()) {
          const times: number[] = [];
          for (let boot = 0; boot < boots; boot += 1)
            times.push(await bootOnce(stateDir, lab, lab.nodes[i] as LabNode, answerer, row));
          medians.push(median(times));
        }
        figures.push(medians);
      } finally {
        await answerer.stop();
      }
    }
    for (const [i, { row }] of shapes.entries())
      report({
        name: `${row}_power_on_to_script_s`,
        ours: figures[0]?.[i] ?? 0,
        peer: figures[1]?.[i] ?? 0,
        better: 'lower',
      });
  } finally {
    await labDown({ stateDir });
    rmSync(stateDir, { recursive: true, force: true });
  }
};
