/**
 * Which undercloud is meant, and with what credentials: OS_* variables, else clouds.yaml where every OpenStack client
 * looks for it, else the state directory of this machine. So the commands work from any machine that can reach the API.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import { statePaths } from '../core/config.ts';
import { fault } from '../core/errors/index.ts';

export interface Cloud {
  authUrl: string;
  username: string;
  password: string;
  project: string;
  userDomain: string;
  projectDomain: string;
  region: string | null;
  /** PEM text; null trusts the system's own authorities. */
  ca: string | null;
}

interface CloudEntry {
  auth?: Record<string, string>;
  region_name?: string;
  cacert?: string;
}

export const defaultCloud = 'undercloud';
export const defaultState = '/var/lib/undercloud';

/** @throws Fault `no-cloud` */
export function findCloud(env: NodeJS.ProcessEnv, state: string | undefined): Cloud {
  if (env.OS_AUTH_URL && !state) return fromVariables(env);
  const name = env.OS_CLOUD ?? defaultCloud;
  const places = state
    ? [statePaths(state).clouds]
    : [
        ...(env.OS_CLIENT_CONFIG_FILE ? [env.OS_CLIENT_CONFIG_FILE] : []),
        'clouds.yaml',
        join(homedir(), '.config/openstack/clouds.yaml'),
        '/etc/openstack/clouds.yaml',
        statePaths(defaultState).clouds,
      ];
  for (const file of places) {
    if (!existsSync(file)) continue;
    const entry = (parse(readFileSync(file, 'utf8')) as { clouds?: Record<string, CloudEntry> } | null)?.clouds?.[name];
    if (entry?.auth?.auth_url) return fromEntry(entry, file);
  }
  throw fault('no-cloud', { places: places.join(', '), cloud: name });
}

function fromVariables(env: NodeJS.ProcessEnv): Cloud {
  return {
    authUrl: env.OS_AUTH_URL ?? '',
    username: env.OS_USERNAME ?? '',
    password: env.OS_PASSWORD ?? '',
    project: env.OS_PROJECT_NAME ?? env.OS_PROJECT_ID ?? '',
    userDomain: env.OS_USER_DOMAIN_NAME ?? 'Default',
    projectDomain: env.OS_PROJECT_DOMAIN_NAME ?? 'Default',
    region: env.OS_REGION_NAME ?? null,
    ca: env.OS_CACERT ? readFileSync(env.OS_CACERT, 'utf8') : null,
  };
}

function fromEntry(entry: CloudEntry, file: string): Cloud {
  const auth = entry.auth ?? {};
  // A CA beside the file (`undercloud clouds export`) is named relative to it.
  const ca = entry.cacert && (isAbsolute(entry.cacert) ? entry.cacert : join(dirname(file), entry.cacert));
  return {
    authUrl: auth.auth_url ?? '',
    username: auth.username ?? '',
    password: auth.password ?? '',
    project: auth.project_name ?? auth.project_id ?? '',
    userDomain: auth.user_domain_name ?? 'Default',
    projectDomain: auth.project_domain_name ?? 'Default',
    region: entry.region_name ?? null,
    ca: ca ? readFileSync(ca, 'utf8') : null,
  };
}
