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

/** As Keystone's bodies have it. */
export type Named = { id: string } | { name: string };

export interface Cloud {
  /** With its version: `https://127.0.0.1:6385/identity/v3`. */
  authUrl: string;
  username: string;
  userDomain: Named;
  password: string;
  project: { id: string } | { name: string; domain: Named };
  region: string | null;
  /** PEM text; null trusts the system's own authorities. */
  ca: string | null;
  /** False accepts any certificate (`verify: false`, OS_INSECURE). */
  verify: boolean;
}

export const defaultCloud = 'undercloud';
export const defaultState = '/var/lib/undercloud';

/** @throws Fault `no-cloud`, `cloud-invalid`, `file-unreadable` */
export function findCloud(env: NodeJS.ProcessEnv, state: string | undefined): Cloud {
  if (env.OS_AUTH_URL && !env.OS_CLOUD && !state) return fromVariables(env);
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
    const entry = entryOf(file, name);
    if (entry) return fromEntry(entry, file, name);
  }
  throw fault('no-cloud', { places: places.join(', '), cloud: name });
}

type Fields = Record<string, unknown>;

const record = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;

function textOf(fields: Fields, ...names: string[]): string | null {
  for (const name of names) {
    const value = fields[name];
    if (typeof value === 'string' && value !== '') return value;
    // Unquoted numbers are numbers in YAML, also when they are somebody's password.
    if (typeof value === 'number') return String(value);
  }
  return null;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw fault('file-unreadable', { file, reason: (error as Error).message }, error);
  }
}

function entryOf(file: string, name: string): Fields | null {
  let document: unknown;
  try {
    document = parse(read(file));
  } catch (error) {
    if ((error as { code?: string }).code === 'file-unreadable') throw error;
    throw fault('cloud-invalid', { place: file, reason: (error as Error).message.split('\n')[0] }, error);
  }
  return record(record(record(document)?.clouds)?.[name]);
}

function named(fields: Fields, prefix: string, fallback: Named): Named {
  const id = textOf(fields, `${prefix}_id`);
  if (id) return { id };
  const name = textOf(fields, `${prefix}_name`);
  return name ? { name } : fallback;
}

function fromFields(auth: Fields, place: string): Omit<Cloud, 'region' | 'ca' | 'verify'> {
  const need = (what: string, ...names: string[]): string => {
    const value = textOf(auth, ...names);
    if (value === null) throw fault('cloud-invalid', { place, reason: `it has no ${what} (${names.join(', ')})` });
    return value;
  };
  const url = need('address', 'auth_url').replace(/\/+$/, '');
  if (!/^https?:\/\//.test(url)) throw fault('cloud-invalid', { place, reason: `auth_url is ${url}, no http(s) URL` });
  const fallback = named(auth, 'default_domain', { name: 'Default' });
  const projectId = textOf(auth, 'project_id', 'tenant_id');
  return {
    authUrl: /\/v\d[\d.]*$/.test(url) ? url : `${url}/v3`,
    username: need('user', 'username'),
    userDomain: named(auth, 'user_domain', fallback),
    password: need('password', 'password'),
    project: projectId
      ? { id: projectId }
      : {
          name: need('project', 'project_name', 'tenant_name'),
          domain: named(auth, 'project_domain', fallback),
        },
  };
}

const no = (value: unknown): boolean => /^(false|no|off|0)$/i.test(String(value));

function fromVariables(env: NodeJS.ProcessEnv): Cloud {
  const auth = Object.fromEntries(
    Object.entries(env)
      .filter(([name]) => name.startsWith('OS_'))
      .map(([name, value]) => [name.slice(3).toLowerCase(), value]),
  );
  return {
    ...fromFields(auth, 'The environment (OS_*)'),
    region: env.OS_REGION_NAME ?? null,
    ca: env.OS_CACERT ? read(env.OS_CACERT) : null,
    verify: env.OS_INSECURE === undefined || env.OS_INSECURE === '' || no(env.OS_INSECURE),
  };
}

function fromEntry(entry: Fields, file: string, name: string): Cloud {
  // A CA beside the file (`undercloud clouds export`) is named relative to it.
  const given = textOf(entry, 'cacert');
  const ca = given && (isAbsolute(given) ? given : join(dirname(file), given));
  return {
    ...fromFields(record(entry.auth) ?? {}, `The cloud “${name}” in ${file}`),
    region: textOf(entry, 'region_name'),
    ca: ca ? read(ca) : null,
    verify: entry.verify === undefined || !no(entry.verify),
  };
}
