create schema network;

create table network.networks (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  project_id text not null,
  description text not null,
  admin_state_up boolean not null,
  shared boolean not null,
  external boolean not null,
  is_default boolean not null,
  mtu integer not null,
  dns_domain text not null,
  port_security_enabled boolean not null,
  network_type text not null,
  physical_network text,
  segmentation_id integer,
  -- the one that the provisioning interface is on
  provisioning boolean not null default false,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index networks_name on network.networks (name);
-- A wire carries one untagged network, and each VLAN once.
create unique index networks_wire on network.networks (physical_network, coalesce(segmentation_id, 0))
  where physical_network is not null;
create unique index networks_provisioning on network.networks (provisioning) where provisioning;

create table network.subnets (
  id uuid primary key default gen_random_uuid(),
  network_id uuid not null references network.networks on delete cascade,
  name text not null,
  project_id text not null,
  description text not null,
  cidr cidr not null,
  gateway_ip inet,
  enable_dhcp boolean not null,
  dns_nameservers jsonb not null,
  host_routes jsonb not null,
  ipv6_address_mode text,
  ipv6_ra_mode text,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index subnets_network on network.subnets (network_id);
create index subnets_name on network.subnets (name);

-- Ranges that addresses are given from. `taken` counts those handed out from the front, once each; what comes back goes
-- to `freed`. So giving an address costs the same however many are out.
create table network.pools (
  subnet_id uuid not null references network.subnets on delete cascade,
  position integer not null,
  first inet not null,
  last inet not null,
  size bigint not null,
  taken bigint not null default 0,
  primary key (subnet_id, position)
);

create table network.freed (
  subnet_id uuid not null references network.subnets on delete cascade,
  address inet not null,
  -- the longest at rest goes first
  place bigint not null generated always as identity,
  primary key (subnet_id, address)
);
create index freed_place on network.freed (subnet_id, place);

create table network.ports (
  id uuid primary key default gen_random_uuid(),
  network_id uuid not null references network.networks,
  name text not null,
  project_id text not null,
  description text not null,
  mac_address text not null,
  -- its own, while it bears a node's
  own_mac text not null,
  admin_state_up boolean not null,
  status text not null,
  device_id text not null,
  device_owner text not null,
  node_id uuid,
  host_id text not null,
  vnic_type text not null,
  binding_profile jsonb not null,
  dns_name text not null,
  extra_dhcp_options jsonb not null,
  kept boolean not null,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- A MAC has one port on a network, and beside it at most the one that DHCP keeps for it.
create unique index ports_mac on network.ports (network_id, mac_address, kept);
create index ports_by_mac on network.ports (mac_address);
create index ports_device on network.ports (device_id) where device_id <> '';
create index ports_node on network.ports (node_id) where node_id is not null;
create index ports_name on network.ports (name) where name <> '';
create index ports_project on network.ports (project_id);

create table network.addresses (
  subnet_id uuid not null references network.subnets,
  address inet not null,
  port_id uuid not null references network.ports on delete cascade,
  position integer not null,
  primary key (subnet_id, address)
);
create index addresses_port on network.addresses (port_id);

-- DHCP bindings. Subnet ids are text: a relayed subnet need not be one of ours.
create table network.leases (
  subnet_id text not null,
  address inet not null,
  state text not null,
  client text not null,
  mac text,
  client_id text,
  host_name text,
  granted_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (subnet_id, address)
);
