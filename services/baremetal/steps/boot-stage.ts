/**
 * Where a booting machine is, told by what was last heard of it: the sentence of the wait for its agent. Events come
 * from boot; a kind that is not in the table leaves the stage where it was.
 */
import type { Wait } from '../../core/operations/index.ts';
import type { Ground } from '../ground.ts';
import { nodeSubject } from '../ground.ts';
import type { NodeRow } from '../store/nodes.ts';

export interface Stage {
  /** Beginning of an event's kind: `boot.dhcp`. */
  readonly heard: string;
  readonly on: string;
  readonly remedy: string;
}

const cold: Omit<Stage, 'heard'> = {
  on: 'the machine to ask for an address by DHCP',
  remedy:
    'Look at its console: it must boot from the network first, from the port that is enrolled, on the provisioning network.',
};

/** In the order in which a boot goes. */
export const bootStages: readonly Stage[] = [
  {
    heard: 'boot.dhcp',
    on: 'the machine to fetch its boot program (DHCP was answered)',
    remedy: 'Look at its console; TFTP (UDP port 69) and HTTP must reach the undercloud’s provisioning address.',
  },
  {
    heard: 'boot.tftp',
    on: 'iPXE to ask for its script (the boot program was fetched)',
    remedy: 'Look at its console: iPXE says there why it cannot go on.',
  },
  {
    heard: 'boot.script',
    on: 'the machine to fetch the agent’s kernel and ramdisk',
    remedy: 'Look at its console; HTTP must reach the undercloud’s provisioning address.',
  },
  {
    heard: 'boot.kernel',
    on: 'the machine to fetch the agent’s ramdisk',
    remedy: 'Look at its console; the ramdisk takes some seconds on a slow link.',
  },
  {
    heard: 'boot.ramdisk',
    on: 'the agent to start and look its node up',
    remedy: 'Look at its console: the agent says there why it cannot reach the API.',
  },
  {
    heard: 'node.agent-lookup',
    on: 'the agent’s first heartbeat',
    remedy: 'Look at its console: the agent says there why it cannot reach the API.',
  },
];

/** Events that wake whoever waits for the machine. */
export const wakesNode = (kind: string): boolean =>
  kind.startsWith('boot.') || kind.startsWith('node.agent-lookup') || kind === 'node.agent-heartbeat';

/** How many newest events are looked through: a boot is some ten exchanges, and BMC polls lie between them. */
const lookBack = 60;

/** The furthest stage since the power cycle began: the agent's own DHCP must not set it back. */
export async function bootStage(ground: Ground, node: NodeRow): Promise<Wait> {
  await ground.house.recorder.drain();
  const events = await ground.house.recorder.timeline(nodeSubject(node.uuid), { limit: lookBack });
  let furthest = -1;
  for (const event of events) {
    if (event.kind === 'node.boot-intent') furthest = -1;
    furthest = Math.max(
      furthest,
      bootStages.findIndex(({ heard }) => event.kind.startsWith(heard)),
    );
  }
  const { on, remedy } = bootStages[furthest] ?? cold;
  return { on, remedy };
}
