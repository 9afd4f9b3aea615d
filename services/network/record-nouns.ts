/** Neutron's words for security groups, their rules, segments and trunks. */
import Type from 'typebox';
import { type Attribute, empty, type Noun, none, orNull, show, standing, text } from './dialect.ts';
import type { SecurityGroupRecord, SecurityGroupRuleRecord, SegmentRecord, TrunkRecord } from './model.ts';

const nullable = (name: string, field: string, on: 'create' | 'both' = 'both') => ({
  name,
  field,
  schema: orNull(text),
  on,
});
/** Clients send ports and VLANs as text too, and None for nothing. */
const count = orNull(Type.Integer());

export const ruleNoun: Noun<SecurityGroupRuleRecord> = {
  one: 'security_group_rule',
  many: 'security_group_rules',
  attributes: [
    ...standing<SecurityGroupRuleRecord>(),
    { ...nullable('description', 'description'), read: (value) => value ?? '', show: (r) => r.description },
    { name: 'security_group_id', show: (r) => r.groupId, field: 'groupId', schema: text, on: 'create' },
    { name: 'direction', show: (r) => r.direction, field: 'direction', schema: text, on: 'create' },
    {
      ...nullable('ethertype', 'ethertype', 'create'),
      read: (value) => value ?? 'IPv4',
      show: (r) => r.ethertype,
    },
    {
      name: 'protocol',
      show: (r) => r.protocol,
      field: 'protocol',
      schema: orNull(Type.Union([text, Type.Integer()])),
      read: (value) => (value === null ? null : String(value)),
      on: 'create',
    },
    { name: 'port_range_min', show: (r) => r.portRangeMin, field: 'portRangeMin', schema: count, on: 'create' },
    { name: 'port_range_max', show: (r) => r.portRangeMax, field: 'portRangeMax', schema: count, on: 'create' },
    { ...nullable('remote_ip_prefix', 'remoteIpPrefix', 'create'), show: (r) => r.remoteIpPrefix },
    { ...nullable('remote_group_id', 'remoteGroupId', 'create'), show: (r) => r.remoteGroupId },
    { name: 'remote_address_group_id', show: () => null },
    { name: 'normalized_cidr', show: (r) => r.remoteIpPrefix },
    { name: 'belongs_to_default_sg', show: (r) => r.isOfDefault },
  ],
  without: { remote_address_group_id: none, tags: empty },
};

export const groupNoun: Noun<SecurityGroupRecord> = {
  one: 'security_group',
  many: 'security_groups',
  attributes: [
    ...standing<SecurityGroupRecord>(),
    { name: 'name', show: (r) => r.name, field: 'name', schema: text },
    { name: 'description', show: (r) => r.description, field: 'description', schema: text },
    { name: 'stateful', show: (r) => r.stateful, field: 'stateful', schema: Type.Boolean() },
    { name: 'shared', show: () => false },
    { name: 'security_group_rules', show: (r) => r.rules.map((rule) => show(ruleNoun, rule)) },
  ],
  without: { tags: empty },
};

export const segmentNoun: Noun<SegmentRecord> = {
  one: 'segment',
  many: 'segments',
  attributes: [
    ...standing<SegmentRecord>().filter(({ name }) => name !== 'project_id' && name !== 'tenant_id'),
    { ...nullable('name', 'name'), show: (r) => r.name || null },
    { ...nullable('description', 'description'), show: (r) => r.description || null },
    { name: 'network_id', show: (r) => r.networkId, field: 'networkId', schema: text, on: 'create' },
    { name: 'network_type', show: (r) => r.networkType, field: 'networkType', schema: text, on: 'create' },
    { ...nullable('physical_network', 'physicalNetwork', 'create'), show: (r) => r.physicalNetwork },
    { name: 'segmentation_id', show: (r) => r.segmentationId, field: 'segmentationId', schema: count, on: 'create' },
  ],
  without: { tags: empty },
};

interface SubPortBody {
  port_id: string;
  segmentation_type?: string;
  segmentation_id?: number;
}

export const subPortList = Type.Array(
  Type.Object({
    port_id: Type.String(),
    segmentation_type: Type.Optional(Type.String()),
    segmentation_id: Type.Optional(Type.Integer()),
  }),
  { maxItems: 4094 },
);

export const readSubPorts = (value: unknown) =>
  (value as SubPortBody[]).map((one) => ({
    portId: one.port_id,
    ...(one.segmentation_type !== undefined && { segmentationType: one.segmentation_type }),
    ...(one.segmentation_id !== undefined && { segmentationId: one.segmentation_id }),
  }));

export const showSubPorts = (trunk: TrunkRecord) =>
  trunk.subPorts.map(({ portId, segmentationType, segmentationId }) => ({
    port_id: portId,
    segmentation_type: segmentationType,
    segmentation_id: segmentationId,
  }));

const subPorts: Attribute<TrunkRecord> = {
  name: 'sub_ports',
  show: showSubPorts,
  field: 'subPorts',
  schema: subPortList,
  read: readSubPorts,
  on: 'create',
};

export const trunkNoun: Noun<TrunkRecord> = {
  one: 'trunk',
  many: 'trunks',
  attributes: [
    ...standing<TrunkRecord>(),
    { name: 'name', show: (r) => r.name, field: 'name', schema: text },
    { name: 'description', show: (r) => r.description, field: 'description', schema: text },
    { name: 'admin_state_up', show: (r) => r.adminStateUp, field: 'adminStateUp', schema: Type.Boolean() },
    { name: 'port_id', show: (r) => r.portId, field: 'portId', schema: text, on: 'create' },
    // No switch has been told of it.
    { name: 'status', show: () => 'DOWN' },
    subPorts,
  ],
  without: { tags: empty },
};
