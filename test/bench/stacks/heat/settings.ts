/** How the peer is set up: Heat as its own documentation installs it, in one tree, on loopback, with two workers for two processors. */
export const ports = { keystone: 5000, heat: 8004, cfn: 8000, rabbit: 5672 } as const;
export const keystoneUrl = `http://127.0.0.1:${ports.keystone}/v3`;
export const adminPassword = 'adminpw';
export const servicePassword = 'servicepw';
const databasePassword = 'databasepw';
export const databaseSocket = '/run/mysqld/mysqld.sock';

export const databases = ['keystone', 'heat'] as const;
const databaseUrl = (name: string) =>
  `mysql+pymysql://${name}:${databasePassword}@localhost/${name}?unix_socket=${databaseSocket}&charset=utf8`;

export const databaseSql = databases
  .map(
    (name) =>
      `create database ${name} character set utf8; create user '${name}'@'localhost' identified by '${databasePassword}'; ` +
      `grant all on ${name}.* to '${name}'@'localhost';`,
  )
  .join('\n');

/** Cheap password hashes, which is to Heat's advantage: it logs in for every action. */
export const keystoneConf = `[DEFAULT]
use_stderr = true
[database]
connection = ${databaseUrl('keystone')}
[token]
provider = fernet
expiration = 86400
[identity]
password_hash_rounds = 4
`;

const login = `auth_url = ${keystoneUrl}
auth_type = password
username = heat
password = ${servicePassword}
user_domain_name = Default
`;

export const heatConf = `[DEFAULT]
use_stderr = true
log_dir =
transport_url = rabbit://guest:guest@127.0.0.1:${ports.rabbit}/
region_name_for_services = RegionOne
heat_metadata_server_url = http://127.0.0.1:${ports.cfn}
heat_waitcondition_server_url = http://127.0.0.1:${ports.cfn}/v1/waitcondition
stack_user_domain_name = heat
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = ${servicePassword}
auth_encryption_key = 00000000000000000000000000000000
num_engine_workers = 2
max_resources_per_stack = -1
max_nested_stack_depth = 10
max_json_body_size = 33554432
max_template_size = 16777216
[database]
connection = ${databaseUrl('heat')}
max_pool_size = 20
max_overflow = 60
[heat_api]
bind_host = 127.0.0.1
bind_port = ${ports.heat}
workers = 2
[heat_api_cfn]
bind_host = 127.0.0.1
bind_port = ${ports.cfn}
workers = 1
[keystone_authtoken]
www_authenticate_uri = ${keystoneUrl}
${login}project_name = service
project_domain_name = Default
[trustee]
${login}[clients_keystone]
auth_uri = ${keystoneUrl}
`;

/** The engine's two ways, of which the better one counts in each case. */
export type Engine = 'convergence' | 'classic';
export const engineConf = (engine: Engine) => `[DEFAULT]\nconvergence_engine = ${engine === 'convergence'}\n`;
