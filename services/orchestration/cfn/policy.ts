/** What an access key of AWS::IAM::AccessKey may read: any resource of its stack, as far as its user's policies allow. */
import type { StackNode } from '../engine/tree.ts';
import type { Plain } from '../model.ts';

export const isStackKey = (type: string): boolean => type === 'AWS::IAM::AccessKey';

/** As Heat has it: every policy that the user names has to allow it; without any, all is allowed. */
export function mayRead(node: StackNode, keyName: string, wanted: string): boolean {
  const key = node.resources.get(keyName);
  const user = byReference(node, key?.state.data.user);
  // A key whose user is gone, or is not of this stack, reads nothing.
  if (user?.row.type !== 'AWS::IAM::User') return false;
  const policies = (user.state.properties?.Policies ?? []) as Plain[];
  return policies.every((one) => {
    const policy = byReference(node, one);
    const allowed = policy?.state.properties?.AllowedResources;
    return policy?.row.type === 'OS::Heat::AccessPolicy' && Array.isArray(allowed) && allowed.includes(wanted);
  });
}

const byReference = (node: StackNode, reference: Plain | undefined) =>
  [...node.resources.values()].find(
    ({ row }) => typeof reference === 'string' && (row.physical_id === reference || row.name === reference),
  );
