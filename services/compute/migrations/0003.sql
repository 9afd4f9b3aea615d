-- Nova's server groups. Every server has a node to itself, so an anti-affinity holds by itself, and an affinity cannot.
create table compute.server_groups (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  name text not null,
  policy text not null,
  rules jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index server_groups_of_project on compute.server_groups (project_id);
