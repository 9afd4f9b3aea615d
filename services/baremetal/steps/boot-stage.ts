/**
 * Where a booting machine is, told by what was last heard of it: the sentence of the wait for its agent. Events come
 * from boot; a kind that is not in the table leaves the stage where it was.
 */
import type { EventKind, EventMap, RecordedEvent } from '../../core/events/index.ts';
import type { Wait } from '../../core/operations/index.ts';
import type { Ground } from '../ground.ts';
import { nodeSubject } from '../ground.ts';
import type { NodeRow } from '../store/nodes.ts';

type Heard = Omit<RecordedEvent, 'id'>;

export interface Stage {
  readonly heard: (event: Heard) => boolean;
  readonly on: string;
  readonly remedy: string;
}

const cold: Omit<Stage, 'heard'> = {
  on: 'the machine to ask for an address by DHCP',
  remedy:
    'Look at its console: it must boot from the network first, from the port that is enrolled, on the provisioning network.',
};

const look = 'Look at its console; TFTP and HTTP must reach the undercloud’s provisioning address.';

/** A file that the machine fetched, by TFTP or HTTP. */
const fetched =
  (file: RegExp) =>
  ({ kind, data }: Heard): boolean =>
    (kind === 'tftp.transfer' || kind === 'http.fetch') && file.test(String((data as { file?: unknown }).file));

/** In the order in which a boot goes. */
export const bootStages: readonly Stage[] = [
  {
    heard: ({ kind, data }) =>
      kind === 'boot.decision' ||
      (kind === 'dhcp.exchange' && (data as { client?: unknown }).client !== 'the running system'),
    on: 'the machine to fetch its boot program (DHCP was answered)',
    remedy: look,
  },
  {
    heard: fetched(/(undionly\.kpxe|ipxe\.pxe|snponly\.efi|ipxe\.efi|shimx64\.efi|grubx64\.efi)$/),
    on: 'the boot program to ask for its script (it was fetched)',
    remedy: 'Look at its console: iPXE or GRUB says there why it cannot go on.',
  },
  {
    heard: fetched(/script|\.ipxe|grub\.cfg$/),
    on: 'the machine to fetch the agent’s kernel and ramdisk',
    remedy: look,
  },
  { heard: fetched(/kernel$|trust\.cpio$/), on: 'the machine to fetch the agent’s ramdisk', remedy: look },
  {
    heard: fetched(/ramdisk$|initrd$/),
    on: 'the agent to start and look its node up',
    remedy: 'Look at its console: the agent says there why it cannot reach the API.',
  },
  {
    heard: ({ kind }) => kind === 'node.agent-lookup',
    on: 'the agent’s first heartbeat',
    remedy: 'Look at its console: the agent says there why it cannot reach the API.',
  },
];

/** Whether the machine itself was heard of: its boot goes on. */
export const tellsOfBoot = (event: Heard): boolean => bootStages.some(({ heard }) => heard(event));

const waking: ReadonlySet<string> = new Set<EventKind>([
  'dhcp.exchange',
  'boot.decision',
  'boot.refused',
  'tftp.transfer',
  'http.fetch',
  'boot.silent',
  'boot.loop',
  'node.boot-override',
  'node.agent-lookup',
  'node.agent-heartbeat',
]);

/** Events that wake whoever waits for the machine. */
export const wakesNode = (kind: string): boolean => waking.has(kind);

/** How many newest events are looked through: a boot is some ten exchanges, with BMC polls and a second's
 *  progress of each large file between them. */
const lookBack = 200;

/** The furthest stage since the power cycle began: the agent's own DHCP must not set it back. */
export async function bootStage(ground: Ground, node: NodeRow): Promise<Wait> {
  await ground.house.recorder.drain();
  const events = await ground.house.recorder.timeline(nodeSubject(node.uuid), { limit: lookBack });
  let furthest = -1;
  /** What boot said of its silence or its loop, unless it has been heard of since. */
  let told: Wait | null = null;
  for (const event of events) {
    if (event.kind === 'node.boot-intent' || event.kind === 'node.boot-retry') furthest = -1;
    if (event.kind === 'node.boot-intent' || event.kind === 'node.boot-retry' || tellsOfBoot(event)) told = null;
    told = trouble(event) ?? told;
    furthest = Math.max(
      furthest,
      bootStages.findIndex(({ heard }) => heard(event)),
    );
  }
  if (told) return told;
  const { on, remedy } = bootStages[furthest] ?? cold;
  return { on, remedy };
}

function trouble({ kind, data }: Heard): Wait | null {
  if (kind === 'boot.silent') {
    const { awaits, cause, remedy } = data as EventMap['boot.silent'];
    return { on: `${awaits}; it is silent, likely because ${cause}`, remedy };
  }
  if (kind === 'node.boot-override') {
    const { device, verdict, text, remedy } = data as EventMap['node.boot-override'];
    return device === 'pxe' && verdict === 'ignored'
      ? { on: `the machine to boot from the network: ${text}`, remedy }
      : null;
  }
  if (kind !== 'boot.loop') return null;
  const { text } = data as EventMap['boot.loop'];
  return {
    on: `the machine to leave its loop: ${text}`,
    remedy: 'Look at its console; power-cycle the node to begin anew.',
  };
}
