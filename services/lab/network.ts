import { existsSync } from 'node:fs';
import { type LabLayout, labAddresses, provisioningInterface } from './layout.ts';
import { identify, type ProcessRecord, run } from './processes.ts';

/** The lab's network: one namespace with a bridge, and a tap for each node. Nothing of it touches the host's network. */

export function tapName(index: number): string {
  return `tap${index}`;
}

function inside(lab: LabLayout, step: string, ...words: string[]): string {
  return run(step, ['ip', '-n', lab.netns, ...words]);
}

function links(lab: LabLayout): Set<string> {
  const parsed = JSON.parse(inside(lab, 'Looking at the lab network', '-json', 'link', 'show') || '[]') as {
    ifname?: string;
  }[];
  return new Set(parsed.map((link) => link.ifname ?? ''));
}

/** Makes what is missing of the namespace, the bridge and the taps of the nodes 1 to `nodes`. Run twice it changes nothing. */
export function raiseNetwork(lab: LabLayout, nodes: number, onProgress: (line: string) => void): void {
  const step = `Network of lab ${lab.netns}`;
  if (!existsSync(lab.netnsFile) || !usable(lab)) {
    // `ip netns add` interrupted between making the file and mounting the namespace on it leaves a plain file that can only be deleted.
    if (existsSync(lab.netnsFile)) run(step, ['ip', 'netns', 'del', lab.netns]);
    run(step, ['ip', 'netns', 'add', lab.netns]);
    onProgress(`network namespace ${lab.netns}`);
  }
  inside(lab, step, 'link', 'set', 'lo', 'up');
  const present = links(lab);
  const { undercloud, prefixLength, metadata } = labAddresses;
  const batch: string[] = [];
  if (!present.has(provisioningInterface))
    batch.push(`link add ${provisioningInterface} type bridge stp_state 0 forward_delay 0`);
  // `replace` makes these safe to repeat. The metadata address is a host route's worth: nodes reach it through DHCP option 121.
  batch.push(`addr replace ${undercloud}/${prefixLength} dev ${provisioningInterface}`);
  batch.push(`addr replace ${metadata}/32 dev ${provisioningInterface}`);
  batch.push(`link set ${provisioningInterface} up`);
  for (let index = 1; index <= nodes; index += 1) {
    const tap = tapName(index);
    if (!present.has(tap)) batch.push(`tuntap add dev ${tap} mode tap`);
    // A tap is a wire, not a host: no address of its own, so that nothing but nodes and the bridge speaks IPv6 on the link.
    if (existsSync('/proc/sys/net/ipv6')) batch.push(`link set ${tap} addrgenmode none`);
    batch.push(`link set ${tap} master ${provisioningInterface} up`);
  }
  run(step, ['ip', '-n', lab.netns, '-batch', '-'], `${batch.join('\n')}\n`);
  onProgress(
    `bridge ${provisioningInterface} ${undercloud}/${prefixLength} with ${nodes} tap${nodes === 1 ? '' : 's'}`,
  );
}

function usable(lab: LabLayout): boolean {
  try {
    links(lab);
    return true;
  } catch {
    return false;
  }
}

/** Processes that live in the lab's namespace, whoever started them. */
export function residents(lab: LabLayout): ProcessRecord[] {
  if (!existsSync(lab.netnsFile)) return [];
  try {
    const pids = run('Looking into the lab namespace', ['ip', 'netns', 'pids', lab.netns]);
    return pids
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => identify(Number(line)))
      .filter((record) => record !== undefined);
  } catch {
    return [];
  }
}

/**
 * Removes the lab's network. With `keepBridge` only the taps go: whoever lives in the namespace keeps its bridge and addresses, so that an
 * undercloud goes on serving while a lab is taken down and another raised.
 */
export function removeNetwork(lab: LabLayout, keepBridge: boolean): void {
  if (!existsSync(lab.netnsFile)) return;
  const step = `Network of lab ${lab.netns}`;
  if (usable(lab)) {
    const own = [...links(lab)].filter(
      (name) => /^tap\d+$/.test(name) || (name === provisioningInterface && !keepBridge),
    );
    if (own.length > 0)
      run(step, ['ip', '-n', lab.netns, '-batch', '-'], own.map((name) => `link del ${name}\n`).join(''));
  }
  if (!keepBridge) run(step, ['ip', 'netns', 'del', lab.netns]);
}
