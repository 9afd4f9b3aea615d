/**
 * What of a node's disk has to outlive the next write. `instance_info/preserve_ephemeral` is Ironic's word for the partition that is
 * named `ephemeral0`; `instance_info/preserve_partitions` names others, as a list or with commas between them.
 */
import { fault } from '../core/errors/index.ts';
import type { NodeRow } from './store/nodes.ts';

export interface Preserve {
  readonly names: readonly string[];
  /** A partition that is not there is an error: the name may be misspelt, and the data gone. */
  readonly required: true;
}

/** Null where nothing is asked for. @throws Fault `deploy-invalid` */
export function preserveOf(node: NodeRow): Preserve | null {
  const { preserve_ephemeral: ephemeral, preserve_partitions: partitions } = node.instanceInfo;
  const refuse = (field: string, value: unknown, wanted: string) =>
    fault('deploy-invalid', {
      node: node.name ?? node.uuid,
      reason: `instance_info/${field} is ${JSON.stringify(value)}, not ${wanted}.`,
      remedy: `Set it anew: baremetal node set --instance-info ${field}=… ${node.uuid}`,
    });
  const names: string[] = [];
  // The stock client sends text.
  const truth = typeof ephemeral === 'string' ? ephemeral.toLowerCase() : String(ephemeral ?? false);
  if (truth === 'true') names.push('ephemeral0');
  else if (truth !== 'false') throw refuse('preserve_ephemeral', ephemeral, 'true or false');
  const given = typeof partitions === 'string' ? partitions.split(',').map((name) => name.trim()) : (partitions ?? []);
  if (!Array.isArray(given) || !given.every((name) => typeof name === 'string' && name.length > 0 && name.length <= 36))
    throw refuse('preserve_partitions', partitions, 'names of partitions with 1 to 36 characters');
  names.push(...(given as string[]));
  return names.length > 0 ? { names: [...new Set(names)], required: true } : null;
}
