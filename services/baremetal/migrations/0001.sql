-- Nodes, their network ports and traits, the tokens of their agents, and what was found in them.

create schema baremetal;

create table baremetal.nodes (
  id bigint generated always as identity primary key,
  uuid uuid not null unique,
  name text unique,
  driver text not null,
  -- Without secrets: those are sealed in driver_secrets, name by name.
  driver_info jsonb not null default '{}',
  driver_secrets jsonb not null default '{}',
  driver_internal_info jsonb not null default '{}',
  properties jsonb not null default '{}',
  extra jsonb not null default '{}',
  instance_info jsonb not null default '{}',
  instance_uuid uuid unique,
  provision_state text not null default 'enroll',
  target_provision_state text,
  provision_updated_at timestamptz,
  power_state text check (power_state in ('on', 'off')),
  target_power_state text,
  last_error text,
  maintenance boolean not null default false,
  maintenance_reason text,
  fault text,
  resource_class text,
  owner text,
  lessee text,
  description text,
  conductor_group text not null default '',
  shard text,
  parent_node uuid,
  chassis_uuid uuid,
  allocation_uuid uuid,
  automated_clean boolean,
  protected boolean not null default false,
  protected_reason text,
  retired boolean not null default false,
  retired_reason text,
  disable_power_off boolean not null default false,
  network_data jsonb not null default '{}',
  boot_mode text,
  secure_boot boolean,
  interfaces jsonb not null default '{}',
  raid_config jsonb not null default '{}',
  target_raid_config jsonb not null default '{}',
  clean_step jsonb not null default '{}',
  deploy_step jsonb not null default '{}',
  inspection_started_at timestamptz,
  inspection_finished_at timestamptz,
  -- What the machine boots when it asks, and why.
  boot text not null default 'none' check (boot in ('agent', 'disk', 'none')),
  boot_reason text not null default 'nothing is to be done with it',
  -- Counts the times an operation has switched the machine on; boot and agent tokens belong to one of them.
  power_cycle bigint not null default 0,
  used boolean not null default false,
  -- A verb that waits for the running operation to end: `deleted`.
  pending_verb text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz
);
create index nodes_free on baremetal.nodes (id) where provision_state = 'available' and instance_uuid is null;
create index nodes_pending on baremetal.nodes (id) where pending_verb is not null;
create index nodes_by_state on baremetal.nodes (provision_state);

create table baremetal.ports (
  id bigint generated always as identity primary key,
  uuid uuid not null unique,
  node_uuid uuid not null references baremetal.nodes (uuid) on delete cascade,
  -- Lower case with colons: one MAC is on one node.
  address text not null unique,
  name text unique,
  extra jsonb not null default '{}',
  internal_info jsonb not null default '{}',
  local_link_connection jsonb not null default '{}',
  physical_network text,
  pxe_enabled boolean not null default true,
  is_smartnic boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz
);
create index ports_of_node on baremetal.ports (node_uuid);

create table baremetal.traits (
  node_uuid uuid not null references baremetal.nodes (uuid) on delete cascade,
  trait text not null,
  primary key (node_uuid, trait)
);

create table baremetal.vifs (
  node_uuid uuid not null references baremetal.nodes (uuid) on delete cascade,
  vif text not null,
  -- The node's port that carries it.
  port_uuid uuid references baremetal.ports (uuid) on delete set null,
  primary key (node_uuid, vif)
);

-- One boot token for each MAC and power cycle. Repeated to whoever asks with that MAC until it is burnt.
create table baremetal.boot_tokens (
  node_uuid uuid not null references baremetal.nodes (uuid) on delete cascade,
  mac text not null,
  power_cycle bigint not null,
  sealed text not null,
  hash text not null unique,
  created_at timestamptz not null default clock_timestamp(),
  burnt_at timestamptz,
  primary key (node_uuid, mac)
);

-- The agent that runs on a node now; gone when the machine is switched off.
create table baremetal.agents (
  node_uuid uuid primary key references baremetal.nodes (uuid) on delete cascade,
  power_cycle bigint not null,
  token_sealed text not null,
  token_hash text not null,
  -- By which boot token it was let in; null for a stock agent found by its addresses.
  boot_token_hash text,
  callback_url text,
  verify_ca text,
  version text,
  clock_skew_s bigint,
  progress jsonb,
  looked_up_at timestamptz not null default clock_timestamp(),
  first_heartbeat_at timestamptz,
  -- Heartbeat or answered command: silence is counted from here.
  heard_at timestamptz,
  -- It was told to end (power off, kexec): silence is what is expected of it now.
  leaving boolean not null default false
);

-- Sealed: user data holds passwords. Kept until the node is taken back, so that a deploy can be resumed and repeated.
create table baremetal.config_drives (
  node_uuid uuid primary key references baremetal.nodes (uuid) on delete cascade,
  sealed text not null
);

create table baremetal.inventories (
  node_uuid uuid primary key references baremetal.nodes (uuid) on delete cascade,
  inventory jsonb not null,
  plugin_data jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp()
);
