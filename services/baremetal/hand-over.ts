/** What a node says about kexec: whether it may be started that way at all, and whether it shall be where nobody asks. */
import { fault } from '../core/errors/index.ts';
import type { NodeRow } from './store/nodes.ts';

const ways: Readonly<Record<string, boolean>> = { kexec: true, reset: false };

/** A node says no by driver_info/kexec=false: some devices do not survive a start without their firmware. */
export const allowsKexec = (node: NodeRow): boolean =>
  String(node.driverInfo.kexec ?? 'true').toLowerCase() !== 'false';

/** By instance_info/hand_over, which Ironic's clients set; else by the node's capability `hand_over:kexec`. @throws Fault `deploy-invalid` */
export function prefersKexec(node: NodeRow): boolean {
  const capabilities = String(node.properties.capabilities ?? '');
  const asked = node.instanceInfo.hand_over ?? /(?:^|,)hand_over:(\w+)/.exec(capabilities)?.[1] ?? 'reset';
  const way = typeof asked === 'string' ? ways[asked] : undefined;
  if (way === undefined)
    throw fault('deploy-invalid', {
      node: node.name ?? node.uuid,
      reason: `its hand_over is ${JSON.stringify(asked)}.`,
      remedy: 'Set instance_info/hand_over, or the capability hand_over, to kexec or reset.',
    });
  return way;
}
