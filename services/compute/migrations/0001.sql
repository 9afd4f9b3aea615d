create schema compute;

create table compute.flavors (
  id text primary key,
  name text not null unique,
  ram int not null,
  vcpus int not null,
  disk int not null,
  description text,
  is_public boolean not null default true,
  extra_specs jsonb not null default '{}'
);

-- The one flavor every undercloud has: any node of resource class `baremetal`.
insert into compute.flavors (id, name, ram, vcpus, disk, description, extra_specs)
values ('baremetal', 'baremetal', 1, 1, 1, 'Any node of resource class baremetal', '{"resources:CUSTOM_BAREMETAL": "1"}');

create table compute.keypairs (
  user_id text not null,
  name text not null,
  public_key text not null,
  fingerprint text not null,
  type text not null default 'ssh',
  created_at timestamptz not null default now(),
  primary key (user_id, name)
);

create table compute.servers (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  name text not null,
  description text,
  image_id uuid not null,
  flavor_id text not null,
  flavor jsonb not null,
  status text not null check (status in ('BUILD', 'ACTIVE', 'ERROR', 'SHUTOFF', 'REBOOT', 'DELETED')),
  task_state text,
  node_id uuid,
  node_name text,
  key_name text,
  public_key text,
  metadata jsonb not null default '{}',
  user_data text,
  config_drive boolean not null,
  kexec boolean not null default false,
  networks jsonb not null,
  hints jsonb not null default '{}',
  tags text[] not null default '{}',
  fault jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  launched_at timestamptz,
  deleted_at timestamptz
);
create index servers_of_project on compute.servers (project_id, created_at) where deleted_at is null;
create unique index servers_of_node on compute.servers (node_id) where deleted_at is null and node_id is not null;
