-- Security groups, segments and trunks are what projects have written down about their networks. No switch driver reads
-- them yet, so nothing is enforced by them.
create table network.security_groups (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  project_id text not null,
  description text not null,
  stateful boolean not null,
  is_default boolean not null,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create index security_groups_project on network.security_groups (project_id);
create unique index security_groups_default on network.security_groups (project_id) where is_default;

create table network.security_group_rules (
  id uuid primary key default gen_random_uuid(),
  security_group_id uuid not null references network.security_groups on delete cascade,
  project_id text not null,
  description text not null,
  direction text not null,
  ethertype text not null,
  protocol text,
  port_range_min integer,
  port_range_max integer,
  remote_ip_prefix text,
  -- a group that others let in takes those rules along
  remote_group_id uuid references network.security_groups on delete cascade,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create index security_group_rules_group on network.security_group_rules (security_group_id);
create index security_group_rules_remote on network.security_group_rules (remote_group_id);
create unique index security_group_rules_once on network.security_group_rules (security_group_id, direction, ethertype,
  coalesce(protocol, ''), coalesce(port_range_min, -1), coalesce(port_range_max, -1), coalesce(remote_ip_prefix, ''),
  coalesce(remote_group_id::text, ''));

create table network.port_security_groups (
  port_id uuid not null references network.ports on delete cascade,
  security_group_id uuid not null references network.security_groups,
  primary key (port_id, security_group_id)
);
create index port_security_groups_group on network.port_security_groups (security_group_id);

create table network.segments (
  id uuid primary key default gen_random_uuid(),
  network_id uuid not null references network.networks on delete cascade,
  project_id text not null,
  name text not null,
  description text not null,
  network_type text not null,
  physical_network text,
  segmentation_id integer,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create unique index segments_wire on network.segments (physical_network, coalesce(segmentation_id, 0))
  where physical_network is not null;
create index segments_network on network.segments (network_id);

create table network.trunks (
  id uuid primary key default gen_random_uuid(),
  port_id uuid not null references network.ports,
  name text not null,
  project_id text not null,
  description text not null,
  admin_state_up boolean not null,
  tags text[] not null default '{}',
  revision integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create unique index trunks_port on network.trunks (port_id);

create table network.sub_ports (
  port_id uuid primary key references network.ports,
  trunk_id uuid not null references network.trunks on delete cascade,
  segmentation_type text not null,
  segmentation_id integer not null
);
create unique index sub_ports_vlan on network.sub_ports (trunk_id, segmentation_id);
