/** The document that a server's agent reads: its deployments, and how to reach us (os-collect-config's section). */
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import type { Where } from '../store/query.ts';
import { configsOfServer } from '../store/software.ts';
import { tempUrl } from '../temp-urls/sign.ts';
import { configDocument } from './configs.ts';
import { type Credential, type Holder, refuseZaqar } from './credentials.ts';

/** Seconds between two looks of the agent: short while something is to be done. */
const pollBusy = 2;
const pollIdle = 15;

export type Transport = 'POLL_SERVER_CFN' | 'POLL_SERVER_HEAT' | 'POLL_TEMP_URL' | 'ZAQAR_MESSAGE';

export function collectors(
  desk: Desk,
  holder: Holder,
  credential: Credential,
  transport: string,
  busy: boolean,
): { [key: string]: Plain } {
  refuseZaqar(holder, transport);
  const common = { polling_interval: busy ? pollBusy : pollIdle };
  if (transport === 'POLL_SERVER_HEAT' && credential.user) {
    return {
      collectors: ['heat', 'local'],
      heat: {
        auth_url: desk.authUrl,
        user_id: credential.user.id,
        password: credential.user.password,
        project_id: credential.user.projectId,
        stack_id: `${holder.stack.name}/${holder.stack.id}`,
        resource_name: holder.name,
        region_name: desk.region,
      },
      ...common,
    };
  }
  if (transport === 'POLL_TEMP_URL')
    return {
      collectors: ['request', 'local'],
      request: { metadata_url: tempUrl(desk, holder, credential, 'GET') },
      ...common,
    };
  return {
    collectors: ['cfn', 'local'],
    cfn: {
      metadata_url: `${desk.cfnUrl}/`,
      access_key_id: credential.accessKey,
      secret_access_key: credential.secret,
      stack_name: holder.stack.name,
      path: `${holder.name}.Metadata`,
    },
    ...common,
  };
}

export async function serverDocument(
  desk: Desk,
  where: Where,
  server: {
    readonly serverId: string;
    readonly own: Plain;
    readonly collect: { readonly [key: string]: Plain } | null;
    readonly busy: boolean;
  },
): Promise<{ [key: string]: Plain }> {
  const rows = await configsOfServer(where, server.serverId);
  const busy = server.busy || rows.some((row) => row.deployment_status === 'IN_PROGRESS');
  const own = typeof server.own === 'object' && server.own !== null && !Array.isArray(server.own) ? server.own : {};
  return {
    ...own,
    deployments: rows.map((row) => configDocument(desk, row) as unknown as Plain),
    ...(server.collect && { 'os-collect-config': { ...server.collect, polling_interval: busy ? pollBusy : pollIdle } }),
  };
}
