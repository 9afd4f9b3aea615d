/** The keys that a stack's agents sign and log in with: made with the resource, good for it alone, gone with it. */
import { randomBytes } from 'node:crypto';
import type { Tx } from '../../core/database/index.ts';
import { fault } from '../../core/errors/index.ts';
import type { Desk } from '../desk.ts';
import * as resourceStore from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { presigned } from './signature.ts';

export interface Credential {
  readonly accessKey: string;
  readonly secret: string;
  readonly user: { readonly id: string; readonly password: string; readonly projectId: string } | null;
}

/** Who asks: a resource within its stack. */
export interface Holder {
  readonly id: string;
  readonly name: string;
  readonly stack: { readonly id: string; readonly rootId: string; readonly name: string; readonly projectId: string };
}

/** There is no Zaqar here; a resource that waits for one of its queues would wait for ever. @throws Fault `transport-not-served` */
export function refuseZaqar({ name }: Pick<Holder, 'name'>, transport: string): void {
  if (transport.startsWith('ZAQAR_')) throw fault('transport-not-served', { resource: name, transport });
}

const owner = (resourceId: string): string => `resource ${resourceId} credential`;

/** The resource's key; made at the first call. `user`: with a user of its own in the stack's project. */
export async function ensureCredential(
  desk: Desk,
  tx: Tx,
  holder: Holder,
  { user }: { user: boolean },
): Promise<Credential> {
  const known = await resourceStore.credentialOf(tx, holder.id);
  if (known) return opened(desk, known, holder, tx);
  const { secrets } = desk.house;
  const accessKey = randomBytes(16).toString('hex');
  const secret = randomBytes(24).toString('base64url');
  const made = user ? await makeUser(desk, tx, holder) : null;
  await resourceStore.insertCredential(tx, {
    access_key: accessKey,
    secret: secrets.seal(secret, owner(holder.id)),
    resource_id: holder.id,
    user_id: made?.id ?? null,
    password: made ? secrets.seal(made.password, owner(holder.id)) : null,
  });
  return { accessKey, secret, user: made };
}

async function opened(desk: Desk, row: resourceStore.CredentialRow, holder: Holder, tx: Tx): Promise<Credential> {
  const { secrets } = desk.house;
  const projectId = row.user_id ? ((await stackStore.stack(tx, holder.stack.rootId))?.user_project_id ?? '') : '';
  const password = row.password === null ? '' : secrets.open(row.password, owner(row.resource_id));
  return {
    accessKey: row.access_key,
    secret: secrets.open(row.secret, owner(row.resource_id)),
    user: row.user_id ? { id: row.user_id, password, projectId } : null,
  };
}

/** All users of a stack are in one project, made with the first of them. */
async function makeUser(desk: Desk, tx: Tx, holder: Holder): Promise<NonNullable<Credential['user']>> {
  const root = await stackStore.lockStack(tx, holder.stack.rootId);
  const name = `${holder.stack.name}-${holder.name}-${holder.id}`.slice(-200);
  const made = await desk.identity.createStackUser(tx, name, root?.user_project_id ?? undefined);
  if (root && !root.user_project_id) await stackStore.patchStack(tx, root.id, { user_project_id: made.projectId });
  return { id: made.userId, password: made.password, projectId: made.projectId };
}

export async function dropCredential(desk: Desk, tx: Tx, resourceId: string): Promise<void> {
  const row = await resourceStore.credentialOf(tx, resourceId);
  if (row?.user_id) await desk.identity.deleteStackUser(tx, row.user_id);
}

export const secretOf = (desk: Desk, row: resourceStore.CredentialRow): string =>
  desk.house.secrets.open(row.secret, owner(row.resource_id));

/** `arn:openstack:heat::PROJECT:stacks/NAME/ID/resources/RESOURCE`, quoted as in a URL's path. */
const arnPath = ({ stack, name }: Holder): string =>
  `${encodeURIComponent(`arn:openstack:heat::${stack.projectId}:stacks`)}/${encodeURIComponent(stack.name)}/${stack.id}/resources/${encodeURIComponent(name)}`;

/** Where the resource is signalled; only with this verb, and for as long as the resource is there. */
export const signalUrl = (
  desk: Desk,
  holder: Holder,
  credential: Credential,
  kind: 'signal' | 'waitcondition',
  at: Date,
): string =>
  presigned({
    url: `${desk.cfnUrl}/${kind}/${arnPath(holder)}`,
    verb: kind === 'signal' ? 'POST' : 'PUT',
    accessKey: credential.accessKey,
    secret: credential.secret,
    at,
  });
