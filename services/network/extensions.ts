/** What stock clients ask for before they dare to use an attribute, and the collections that bare metal leaves empty. */

export const extensions = [
  ['allowed-address-pairs', 'Allowed Address Pairs'],
  ['agent', 'agent'],
  ['availability_zone', 'Availability Zone'],
  ['binding', 'Port Binding'],
  ['default-subnetpools', 'Default Subnetpools'],
  ['dns-integration', 'DNS Integration'],
  ['external-net', 'Neutron external network'],
  ['extra_dhcp_opt', 'Neutron Extra DHCP options'],
  ['net-mtu', 'Network MTU'],
  ['net-mtu-writable', 'Network MTU (writable)'],
  ['network_availability_zone', 'Network Availability Zone'],
  ['port-security', 'Port Security'],
  ['project-id', 'project_id field enabled'],
  ['provider', 'Provider Network'],
  ['router', 'Neutron L3 Router'],
  ['security-group', 'security-group'],
  ['sorting', 'Sorting support'],
  ['pagination', 'Pagination support'],
  ['standard-attr-description', 'standard-attr-description'],
  ['standard-attr-revisions', 'Resource revision numbers'],
  ['standard-attr-tag', 'Tag support for resources with standard attribute'],
  ['standard-attr-timestamp', 'Resource timestamps'],
].map(([alias, name]) => ({ alias, name, description: name, updated: '2017-01-01T00:00:00-00:00', links: [] }));

/** GET answers `{name: []}`, one of them 404: there are none here. */
export const emptyCollections: Readonly<Record<string, string>> = {
  '/address-groups': 'address_groups',
  '/address-scopes': 'address_scopes',
  '/agents': 'agents',
  '/availability_zones': 'availability_zones',
  '/floatingips': 'floatingips',
  '/network-ip-availabilities': 'network_ip_availabilities',
  '/qos/policies': 'policies',
  '/rbac-policies': 'rbac_policies',
  '/routers': 'routers',
  '/security-group-rules': 'security_group_rules',
  '/security-groups': 'security_groups',
  '/segments': 'segments',
  '/subnetpools': 'subnetpools',
  '/trunks': 'trunks',
};

/** Neutron's names of our errors, which clients show and some judge by. */
export const errorTypes: Readonly<Record<string, string>> = {
  'network-not-found': 'NetworkNotFound',
  'subnet-not-found': 'SubnetNotFound',
  'network-port-not-found': 'PortNotFound',
  'network-invalid': 'InvalidInput',
  'network-in-use': 'NetworkInUse',
  'subnet-in-use': 'SubnetInUse',
  'address-in-use': 'IpAddressAlreadyAllocated',
  'mac-in-use': 'MacAddressInUse',
  'pool-exhausted': 'IpAddressGenerationFailure',
  'wire-in-use': 'FlatNetworkInUse',
  'bad-request': 'HTTPBadRequest',
  'not-found': 'HTTPNotFound',
  forbidden: 'PolicyNotAuthorized',
  unauthorized: 'HTTPUnauthorized',
};
