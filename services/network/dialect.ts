/**
 * Neutron's words for our nouns, as data: how each attribute is called, where it comes from, and when it may be set.
 * Reading a body, writing an answer and the list of known names all follow from these tables.
 */
import Type, { type TSchema } from 'typebox';
import { Value } from 'typebox/value';
import type { NetworkRecord, PortRecord, SubnetRecord } from './model.ts';
import { invalid } from './scope.ts';

export interface Attribute<R> {
  readonly name: string;
  readonly show: (record: R) => unknown;
  /** The field that a body's value becomes; absent: read only. */
  readonly field?: string;
  readonly schema?: TSchema;
  /** Turns the body's value into the field's. */
  readonly read?: (value: unknown) => unknown;
  readonly on?: 'create' | 'both';
}

export interface Noun<R> {
  readonly one: string;
  readonly many: string;
  readonly attributes: readonly Attribute<R>[];
  /** Taken from clients that send them by habit, and without effect on bare metal; only these values. */
  readonly without: Readonly<Record<string, readonly unknown[]>>;
}

export const text = Type.String({ maxLength: 255 });
export const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
const stamp = (at: Date) => at.toISOString().replace(/\.\d+Z$/, 'Z');
const either = [true, false, null];
export const none = [null, '', 'None'];
export const empty = [[], null];

export function standing<
  R extends {
    id: string;
    projectId: string;
    revision: number;
    createdAt: Date;
    updatedAt: Date;
    tags: readonly string[];
  },
>(): Attribute<R>[] {
  return [
    { name: 'id', show: (r) => r.id },
    { name: 'project_id', show: (r) => r.projectId, field: 'projectId', schema: text, on: 'create' },
    { name: 'tenant_id', show: (r) => r.projectId, field: 'projectId', schema: text, on: 'create' },
    { name: 'tags', show: (r) => r.tags },
    { name: 'revision_number', show: (r) => r.revision },
    { name: 'created_at', show: (r) => stamp(r.createdAt) },
    { name: 'updated_at', show: (r) => stamp(r.updatedAt) },
  ];
}

export const networkNoun: Noun<NetworkRecord> = {
  one: 'network',
  many: 'networks',
  attributes: [
    ...standing<NetworkRecord>(),
    { name: 'name', show: (r) => r.name, field: 'name', schema: text },
    { name: 'description', show: (r) => r.description, field: 'description', schema: text },
    { name: 'admin_state_up', show: (r) => r.adminStateUp, field: 'adminStateUp', schema: Type.Boolean() },
    { name: 'shared', show: (r) => r.shared, field: 'shared', schema: Type.Boolean() },
    { name: 'router:external', show: (r) => r.external, field: 'external', schema: Type.Boolean() },
    { name: 'is_default', show: (r) => r.isDefault, field: 'isDefault', schema: Type.Boolean() },
    { name: 'mtu', show: (r) => r.mtu, field: 'mtu', schema: Type.Integer() },
    { name: 'dns_domain', show: (r) => r.dnsDomain, field: 'dnsDomain', schema: text },
    {
      name: 'port_security_enabled',
      show: (r) => r.portSecurityEnabled,
      field: 'portSecurityEnabled',
      schema: Type.Boolean(),
    },
    { name: 'provider:network_type', show: (r) => r.networkType, field: 'networkType', schema: text },
    {
      name: 'provider:physical_network',
      show: (r) => r.physicalNetwork,
      field: 'physicalNetwork',
      schema: orNull(text),
    },
    {
      name: 'provider:segmentation_id',
      show: (r) => r.segmentationId,
      field: 'segmentationId',
      schema: orNull(Type.Integer()),
    },
    { name: 'subnets', show: (r) => r.subnetIds },
    { name: 'status', show: (r) => (r.adminStateUp ? 'ACTIVE' : 'DOWN') },
    { name: 'availability_zones', show: () => ['nova'] },
    { name: 'availability_zone_hints', show: () => [] },
    { name: 'ipv4_address_scope', show: () => null },
    { name: 'ipv6_address_scope', show: () => null },
    { name: 'qos_policy_id', show: () => null },
    { name: 'vlan_transparent', show: () => null },
  ],
  without: {
    availability_zone_hints: empty,
    qos_policy_id: none,
    vlan_transparent: either,
    qinq: either,
    tags: empty,
    segments: empty,
  },
};

const range = Type.Object({ start: Type.String(), end: Type.String() });
const hostRoute = Type.Object({ destination: Type.String(), nexthop: Type.String() });
/** Clients send null for "none given". */
const listOrNull = (value: unknown) => value ?? [];

export const subnetNoun: Noun<SubnetRecord> = {
  one: 'subnet',
  many: 'subnets',
  attributes: [
    ...standing<SubnetRecord>(),
    { name: 'network_id', show: (r) => r.networkId, field: 'networkId', schema: text, on: 'create' },
    { name: 'name', show: (r) => r.name, field: 'name', schema: text },
    { name: 'description', show: (r) => r.description, field: 'description', schema: text },
    { name: 'cidr', show: (r) => r.cidr, field: 'cidr', schema: text, on: 'create' },
    {
      name: 'ip_version',
      show: (r) => r.ipVersion,
      field: 'ipVersion',
      schema: Type.Union([Type.Literal(4), Type.Literal(6), Type.Literal('4'), Type.Literal('6')]),
      read: Number,
      on: 'create',
    },
    { name: 'gateway_ip', show: (r) => r.gatewayIp, field: 'gatewayIp', schema: orNull(text) },
    { name: 'enable_dhcp', show: (r) => r.enableDhcp, field: 'enableDhcp', schema: Type.Boolean() },
    {
      name: 'dns_nameservers',
      show: (r) => r.dnsNameservers,
      field: 'dnsNameservers',
      schema: orNull(Type.Array(Type.String())),
      read: listOrNull,
    },
    {
      name: 'host_routes',
      show: (r) => r.hostRoutes,
      field: 'hostRoutes',
      schema: orNull(Type.Array(hostRoute)),
      read: listOrNull,
    },
    {
      name: 'allocation_pools',
      show: (r) => r.allocationPools,
      field: 'allocationPools',
      schema: Type.Array(range, { maxItems: 100 }),
    },
    {
      name: 'ipv6_address_mode',
      show: (r) => r.ipv6AddressMode,
      field: 'ipv6AddressMode',
      schema: orNull(text),
      on: 'create',
    },
    { name: 'ipv6_ra_mode', show: (r) => r.ipv6RaMode, field: 'ipv6RaMode', schema: orNull(text), on: 'create' },
    { name: 'dns_publish_fixed_ip', show: () => false },
    { name: 'service_types', show: () => [] },
    { name: 'segment_id', show: () => null },
    { name: 'subnetpool_id', show: () => null },
  ],
  without: {
    service_types: empty,
    segment_id: none,
    subnetpool_id: none,
    use_default_subnetpool: [false, null],
    dns_publish_fixed_ip: [false, null],
    tags: empty,
  },
};

const wish = Type.Object({ ip_address: Type.Optional(Type.String()), subnet_id: Type.Optional(Type.String()) });
const dhcpOption = Type.Object({
  opt_name: Type.String(),
  opt_value: orNull(Type.String()),
  ip_version: Type.Optional(Type.Union([Type.Literal(4), Type.Literal(6), Type.Literal('4'), Type.Literal('6')])),
});
interface WishBody {
  ip_address?: string;
  subnet_id?: string;
}
interface DhcpOptionBody {
  opt_name: string;
  opt_value: string | null;
  ip_version?: number | string;
}

export const portNoun: Noun<PortRecord> = {
  one: 'port',
  many: 'ports',
  attributes: [
    ...standing<PortRecord>(),
    { name: 'network_id', show: (r) => r.networkId, field: 'networkId', schema: text, on: 'create' },
    { name: 'name', show: (r) => r.name, field: 'name', schema: text },
    { name: 'description', show: (r) => r.description, field: 'description', schema: text },
    { name: 'mac_address', show: (r) => r.macAddress, field: 'macAddress', schema: text },
    {
      name: 'fixed_ips',
      show: (r) => r.fixedIps.map((ip) => ({ subnet_id: ip.subnetId, ip_address: ip.ipAddress })),
      field: 'fixedIps',
      schema: Type.Array(wish),
      read: (value) =>
        (value as WishBody[]).map((one) => ({
          ...(one.ip_address !== undefined && { ipAddress: one.ip_address }),
          ...(one.subnet_id !== undefined && { subnetId: one.subnet_id }),
        })),
    },
    { name: 'admin_state_up', show: (r) => r.adminStateUp, field: 'adminStateUp', schema: Type.Boolean() },
    { name: 'status', show: (r) => r.status },
    { name: 'device_id', show: (r) => r.deviceId, field: 'deviceId', schema: text },
    { name: 'device_owner', show: (r) => r.deviceOwner, field: 'deviceOwner', schema: text },
    {
      name: 'binding:host_id',
      show: (r) => r.hostId,
      field: 'hostId',
      schema: orNull(text),
      read: (value) => value ?? '',
    },
    { name: 'binding:vnic_type', show: (r) => r.vnicType, field: 'vnicType', schema: text },
    {
      name: 'binding:profile',
      show: (r) => r.bindingProfile,
      field: 'bindingProfile',
      schema: orNull(Type.Record(Type.String(), Type.Unknown())),
      read: (value) => value ?? {},
    },
    { name: 'binding:vif_type', show: (r) => (r.hostId ? 'other' : 'unbound') },
    { name: 'binding:vif_details', show: () => ({}) },
    { name: 'dns_name', show: (r) => r.dnsName, field: 'dnsName', schema: text },
    { name: 'dns_domain', show: () => '' },
    { name: 'dns_assignment', show: () => [] },
    {
      name: 'extra_dhcp_opts',
      show: (r) =>
        r.extraDhcpOptions.map((one) => ({ opt_name: one.name, opt_value: one.value, ip_version: one.ipVersion })),
      field: 'extraDhcpOptions',
      schema: Type.Array(dhcpOption, { maxItems: 50 }),
      read: (value) =>
        (value as DhcpOptionBody[]).flatMap((one) =>
          // A null value takes the option away.
          one.opt_value === null
            ? []
            : [{ name: one.opt_name, value: one.opt_value, ipVersion: Number(one.ip_version ?? 4) }],
        ),
    },
    {
      name: 'security_groups',
      show: (r) => r.securityGroups,
      field: 'securityGroups',
      schema: orNull(Type.Array(text, { maxItems: 100 })),
      read: listOrNull,
    },
    { name: 'security_group_ids', show: (r) => r.securityGroups },
    // Nothing filters between a bare-metal node and its switch port here, whatever groups the port has.
    { name: 'port_security_enabled', show: () => false },
    { name: 'allowed_address_pairs', show: () => [] },
    { name: 'qos_policy_id', show: () => null },
    { name: 'qos_network_policy_id', show: () => null },
    { name: 'propagate_uplink_status', show: () => false },
    { name: 'resource_request', show: () => null },
    { name: 'ip_allocation', show: (r) => (r.fixedIps.length > 0 ? 'immediate' : 'none') },
  ],
  without: {
    port_security_enabled: either,
    allowed_address_pairs: empty,
    qos_policy_id: none,
    propagate_uplink_status: either,
    numa_affinity_policy: none,
    device_profile: none,
    data_plane_status: none,
    dns_domain: none,
    hints: [null, {}],
    tags: empty,
  },
};

/** The answer's body of one record; `only` are the `fields` that were asked for. */
export function show<R>(noun: Noun<R>, record: R, only: readonly string[] = []): Record<string, unknown> {
  const wanted = only.length === 0 ? noun.attributes : noun.attributes.filter((one) => only.includes(one.name));
  return Object.fromEntries(wanted.map((one) => [one.name, one.show(record)]));
}

/** The fields that a body sets. @throws Fault `network-invalid` in Neutron's words */
export function read<R>(noun: Noun<R>, body: unknown, on: 'create' | 'update'): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid(noun.one, `the body has to be {"${noun.one}": {…}}`);
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    const tolerated = noun.without[name];
    if (tolerated) {
      if (tolerated.some((one) => JSON.stringify(one) === JSON.stringify(value))) continue;
      throw invalid(name, `${JSON.stringify(value)} has no meaning on bare metal ports here; leave it out`);
    }
    const attribute = noun.attributes.find((one) => one.name === name);
    if (!attribute) throw invalid(noun.one, `Unrecognized attribute(s) '${name}'`);
    const { field, schema } = attribute;
    if (field === undefined || schema === undefined || (on === 'update' && attribute.on === 'create'))
      throw invalid(noun.one, `Attribute '${name}' not allowed in ${on === 'create' ? 'POST' : 'PUT'}`);
    // The stock client sends `--mtu 9000` as text.
    const converted = Value.Convert(schema, value);
    const error = Value.Errors(schema, converted)[0];
    if (error) throw invalid(name, `${JSON.stringify(value)} ${error.message}`);
    fields[field] = attribute.read ? attribute.read(converted) : converted;
  }
  return fields;
}
