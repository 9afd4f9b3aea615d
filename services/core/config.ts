/**
 * What the appliance was told. One file, `undercloud.json` in the state directory, written by bootstrap and read by
 * `serve`; nothing below `main` reads flags or the environment.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ProvisioningConfig {
  /** `br0`; the sockets handed to serve are bound to it. */
  interface: string;
  /** The undercloud's own address on it: `192.0.2.1`. */
  address: string;
  /** `192.0.2.0/24`: the mask that nodes get. */
  cidr: string;
  /** First and last address for nodes (firmware, agent and system keep one address). */
  pool: [first: string, last: string];
  gateway?: string;
  nameservers?: string[];
}

export interface Config {
  stateDir: string;
  /** Host and port of the API listener on the host: `127.0.0.1:6385`. */
  listen: string;
  /** What links and the catalog say; default: the Host header. */
  publicUrl?: string;
  databaseUrl: string;
  redisUrl: string;
  /** Run inside the lab's network namespace. */
  lab: boolean;
  provisioning: ProvisioningConfig | null;
  region: string;
  /** Images in S3 instead of on the local disk. */
  s3?: { endpoint: string; region: string; bucket: string; accessKey: string; secretKey: string };
}

/** Where things lie below the state directory. */
export const statePaths = (stateDir: string) => ({
  config: join(stateDir, 'undercloud.json'),
  clouds: join(stateDir, 'clouds.yaml'),
  keys: join(stateDir, 'keys'),
  caCertificate: join(stateDir, 'keys', 'ca.pem'),
  caKey: join(stateDir, 'keys', 'ca.key'),
  certificate: join(stateDir, 'keys', 'api.pem'),
  certificateKey: join(stateDir, 'keys', 'api.key'),
  secretKey: join(stateDir, 'keys', 'secrets.key'),
  /** Ed25519; signs image manifests. */
  signingKey: join(stateDir, 'keys', 'signing.key'),
  database: join(stateDir, 'postgresql'),
  redis: join(stateDir, 'redis'),
  images: join(stateDir, 'images'),
  cache: join(stateDir, 'cache'),
  /** Files that the boot service serves: undionly.kpxe, snponly.efi, ramdisk profiles. */
  boot: join(stateDir, 'boot'),
  lab: join(stateDir, 'lab'),
  logs: join(stateDir, 'logs'),
});

export type StatePaths = ReturnType<typeof statePaths>;

export function readConfig(stateDir: string): Config {
  return JSON.parse(readFileSync(statePaths(stateDir).config, 'utf8')) as Config;
}
