-- Stacks, their resources, and what agents on their servers are told and answer.
-- What may carry a password (templates with their environments, properties, configurations, results) is sealed text.
create schema orchestration;

-- Files that came with a template, by the hash of their text: the nested stacks of one stack share them.
create table orchestration.files (id text primary key, body jsonb not null);

create table orchestration.stacks (
  id uuid primary key,
  -- the stack whose operation drives this one: itself, or the outermost ancestor
  root_id uuid not null,
  parent_id uuid references orchestration.stacks on delete cascade,
  parent_resource text,
  project_id text not null,
  user_id text not null,
  owner_name text not null,
  name text not null,
  description text not null,
  action text not null,
  status text not null,
  reason text not null,
  -- sealed: template, file name, environment
  definition text not null,
  files_id text not null references orchestration.files,
  -- sealed: what a rollback of an update goes back to
  previous text,
  -- rises with each action; a resource that bears it has been converged to this action's definition
  generation bigint not null,
  -- sealed: the action that waits for the end of the present one
  pending text,
  disable_rollback boolean not null,
  timeout_mins integer,
  tags text[] not null,
  -- the project of the stack's own users
  user_project_id text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz,
  deleted_at timestamptz
);
create unique index stacks_name on orchestration.stacks (project_id, name) where deleted_at is null and parent_id is null;
create index stacks_root on orchestration.stacks (root_id);
create index stacks_parent on orchestration.stacks (parent_id);

create table orchestration.resources (
  id uuid primary key,
  stack_id uuid not null references orchestration.stacks on delete cascade,
  name text not null,
  type text not null,
  -- false: replaced or removed, and waiting for its deletion
  current boolean not null,
  generation bigint not null,
  action text not null,
  status text not null,
  reason text not null,
  physical_id text,
  -- sealed: resolved properties, the type's own notes, attributes, metadata
  state text not null,
  -- names in the same stack that it needs
  requires jsonb not null,
  retain boolean not null,
  blocked_on jsonb,
  started_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create unique index resources_name on orchestration.resources (stack_id, name) where current;
create index resources_stack on orchestration.resources (stack_id);
create index resources_physical on orchestration.resources (physical_id);

-- What was reported to a resource from outside, in order.
create table orchestration.signals (
  id bigint generated always as identity primary key,
  resource_id uuid not null references orchestration.resources on delete cascade,
  body text not null,
  at timestamptz not null default clock_timestamp()
);
create index signals_of_resource on orchestration.signals (resource_id, id);

-- Keys that agents sign with; each is good for one resource.
create table orchestration.credentials (
  access_key text primary key,
  secret text not null,
  resource_id uuid not null unique references orchestration.resources on delete cascade,
  user_id text,
  password text
);
create index credentials_of_user on orchestration.credentials (user_id);

create table orchestration.configs (
  id uuid primary key,
  project_id text not null,
  name text not null,
  group_name text not null,
  body text not null,
  created_at timestamptz not null default clock_timestamp()
);
create index configs_of_project on orchestration.configs (project_id, created_at);

create table orchestration.deployments (
  id uuid primary key,
  project_id text not null,
  server_id text not null,
  config_id uuid references orchestration.configs on delete set null,
  action text not null,
  status text not null,
  reason text not null,
  body text not null,
  -- the server's place in its list stays the same when the configuration changes
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz
);
create index deployments_of_server on orchestration.deployments (server_id, created_at);
create index deployments_of_project on orchestration.deployments (project_id, created_at);

-- How long a type usually takes; what ends within half a second nobody waits for and is not kept.
create table orchestration.durations (
  type text not null,
  action text not null,
  seconds double precision not null,
  at timestamptz not null default clock_timestamp()
);
create index durations_recent on orchestration.durations (type, action, at);
