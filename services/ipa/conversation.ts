/** Agent to undercloud: lookup, heartbeat and inspection, as IPA 9.11 and Ironic 29 speak them, with our additions optional. */
import {
  httpUrl,
  type Json,
  type JsonObject,
  list,
  mac,
  object,
  optional,
  ProtocolError,
  text,
  truth,
  uuid,
  whole,
} from './field.ts';

/** The newest Ironic microversion that IPA asks for; 1.68 added agent_verify_ca to the heartbeat. */
export const AGENT_API_VERSION = '1.68';
export const BOOT_TOKEN_HEADER = 'x-undercloud-boot-token';
/** What a second lookup shows instead of the token; the agent keeps the one that it has. */
export const MASKED_TOKEN = '******';

export interface LookupQuery {
  addresses: string[];
  nodeUuid?: string;
}

/** Reads the query of GET /v1/lookup. Addresses that are no MAC are dropped, as Ironic does; nothing left is an error. */
export function readLookupQuery(query: Record<string, unknown>): LookupQuery {
  const nodeUuid = optional(query.node_uuid, 'node_uuid', uuid);
  const given = optional(query.addresses, 'addresses', (value, what) => text(value, what, 8192)) ?? '';
  const addresses = given.split(',').flatMap((address) => {
    try {
      return [mac(address.trim(), 'address')];
    } catch {
      return [];
    }
  });
  if (addresses.length === 0 && nodeUuid === undefined)
    throw new ProtocolError('A lookup needs addresses (MACs, separated by commas) or node_uuid, and has neither.');
  return nodeUuid === undefined ? { addresses } : { addresses, nodeUuid };
}

export interface LookupAnswer {
  node: { uuid: string; properties: JsonObject; instance_info: JsonObject; driver_internal_info: JsonObject };
  config: {
    /** Seconds. */
    heartbeat_timeout: number;
    agent_token?: string;
    agent_token_required: boolean;
    /** Present where the peer takes our additional heartbeat fields; a stock Ironic answers 400 to unknown ones. */
    undercloud?: { extensions: number };
  };
}

export function readLookupAnswer(value: unknown): LookupAnswer {
  const answer = object(value, 'The lookup answer');
  const node = object(answer.node, 'node');
  const config = object(answer.config, 'config');
  const token = optional(config.agent_token, 'config.agent_token', (v, what) => text(v, what, 256));
  const ours = optional(config.undercloud, 'config.undercloud', object);
  return {
    node: {
      uuid: uuid(node.uuid, 'node.uuid'),
      properties: optional(node.properties, 'node.properties', object) ?? {},
      instance_info: optional(node.instance_info, 'node.instance_info', object) ?? {},
      driver_internal_info: optional(node.driver_internal_info, 'node.driver_internal_info', object) ?? {},
    },
    config: {
      heartbeat_timeout: whole(config.heartbeat_timeout, 'config.heartbeat_timeout', 1, 86_400),
      agent_token_required: optional(config.agent_token_required, 'config.agent_token_required', truth) ?? true,
      ...(token === undefined ? {} : { agent_token: token }),
      ...(ours === undefined
        ? {}
        : { undercloud: { extensions: whole(ours.extensions, 'config.undercloud.extensions') } }),
    },
  };
}

/** Bytes done of a step that takes its time. */
export interface Progress {
  step: string;
  done: number;
  total: number;
  /** What became of an image's bytes so far. */
  bytes?: ImageBytes;
}

/**
 * `skipped` were on the disk already, zeros included; `fetched` came from the store, compressed, `neighbours` from other nodes, raw.
 * `resumed`: connections that broke and were gone on from where they did, a number.
 */
export interface ImageBytes {
  written: number;
  skipped: number;
  fetched: number;
  neighbours?: number;
  resumed?: number;
}

export function readImageBytes(value: unknown, what: string): ImageBytes {
  const bytes = object(value, what);
  const neighbours = optional(bytes.neighbours, `${what}.neighbours`, whole);
  const resumed = optional(bytes.resumed, `${what}.resumed`, whole);
  return {
    written: whole(bytes.written, `${what}.written`),
    skipped: whole(bytes.skipped, `${what}.skipped`),
    fetched: whole(bytes.fetched, `${what}.fetched`),
    ...(neighbours === undefined ? {} : { neighbours }),
    ...(resumed === undefined ? {} : { resumed }),
  };
}

export function readProgress(value: unknown, what = 'progress'): Progress {
  const progress = object(value, what);
  const total = whole(progress.total, `${what}.total`);
  const bytes = optional(progress.bytes, `${what}.bytes`, readImageBytes);
  return {
    step: text(progress.step, `${what}.step`, 128),
    done: whole(progress.done, `${what}.done`, 0, total),
    total,
    ...(bytes === undefined ? {} : { bytes }),
  };
}

export interface Heartbeat {
  callback_url: string;
  agent_token?: string;
  agent_version?: string;
  /** PEM of the agent's self-signed certificate. */
  agent_verify_ca?: string;
  /** Ours: seconds by which the machine's clock was ahead of the undercloud's when it booted; negative is behind. */
  clock_skew_s?: number;
  /** Ours. */
  progress?: Progress;
}

export function readHeartbeat(value: unknown): Heartbeat {
  const beat = object(value, 'The heartbeat');
  const token = optional(beat.agent_token, 'agent_token', (v, what) => text(v, what, 256));
  const version = optional(beat.agent_version, 'agent_version', (v, what) => text(v, what, 64));
  const ca = optional(beat.agent_verify_ca, 'agent_verify_ca', (v, what) => text(v, what, 65_536));
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----'))
    throw new ProtocolError('agent_verify_ca must be a certificate in PEM form.');
  const skew = optional(beat.clock_skew_s, 'clock_skew_s', (v, what) => whole(v, what, -(2 ** 40), 2 ** 40));
  const progress = optional(beat.progress, 'progress', readProgress);
  return {
    callback_url: httpUrl(beat.callback_url, 'callback_url'),
    ...(token === undefined ? {} : { agent_token: token }),
    ...(version === undefined ? {} : { agent_version: version }),
    ...(ca === undefined ? {} : { agent_verify_ca: ca }),
    ...(skew === undefined ? {} : { clock_skew_s: skew }),
    ...(progress === undefined ? {} : { progress }),
  };
}

export interface InventoryInterface {
  name: string;
  mac_address: string;
  ipv4_address: string | null;
  ipv6_address: string | null;
  has_carrier: boolean;
  vendor: string | null;
  product: string | null;
  driver: string | null;
  pci_address: string | null;
  speed_mbps: number | null;
  lldp: Json;
  client_id: string | null;
  biosdevname: string | null;
}

export interface InventoryDisk {
  /** Device path, such as /dev/vda. */
  name: string;
  /** Bytes. */
  size: number;
  model: string | null;
  vendor: string | null;
  serial: string | null;
  wwn: string | null;
  wwn_with_extension: string | null;
  wwn_vendor_extension: string | null;
  rotational: boolean;
  hctl: string | null;
  by_path: string | null;
  logical_sectors: number;
}

/** IPA's hardware inventory; sizes in bytes except `physical_mb` (MiB). */
export interface Inventory {
  interfaces: InventoryInterface[];
  disks: InventoryDisk[];
  cpu: {
    model_name: string;
    frequency: string | null;
    count: number;
    architecture: string;
    flags: string[];
    socket_count: number;
  };
  memory: { total: number; physical_mb: number };
  bmc_address: string | null;
  bmc_v6address: string | null;
  bmc_mac: string | null;
  system_vendor: {
    product_name: string;
    serial_number: string;
    manufacturer: string;
    firmware: { vendor: string; version: string; build_date: string };
  };
  boot: { current_boot_mode: 'bios' | 'uefi'; pxe_interface: string | null };
  hostname: string | null;
}

export interface InspectionCallback {
  /** As sent: a stock ramdisk's collectors add fields that we keep. */
  inventory: JsonObject;
  /** MACs of every interface in the inventory, lower case: by these the node is found. */
  addresses: string[];
  bmcAddresses: string[];
  /** Everything beside the inventory. */
  pluginData: JsonObject;
}

/** Reads the body of POST /v1/continue_inspection. */
export function readInspectionCallback(value: unknown): InspectionCallback {
  const { inventory: given, ...pluginData } = object(value, 'The inspection data');
  const inventory = object(given, 'inventory');
  const addresses = list(inventory.interfaces, 'inventory.interfaces', 1024).flatMap((entry, i) => {
    const address = object(entry, `inventory.interfaces[${i}]`).mac_address;
    return address === null || address === undefined ? [] : [mac(address, `inventory.interfaces[${i}].mac_address`)];
  });
  const bmcAddresses = [inventory.bmc_address, inventory.bmc_v6address].flatMap((address) =>
    typeof address === 'string' && address !== '' && address !== '0.0.0.0' && !address.startsWith('::/')
      ? [address]
      : [],
  );
  return { inventory, addresses, bmcAddresses, pluginData };
}
