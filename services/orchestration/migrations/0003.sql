-- Containers and their objects: small ones, for what stacks and their nodes hand to each other.
create table orchestration.containers (
  id bigint generated always as identity primary key,
  project_id text not null,
  name text not null,
  headers jsonb not null default '{}',
  created_at timestamptz not null default now(),
  unique (project_id, name)
);

create table orchestration.objects (
  container_id bigint not null references orchestration.containers on delete cascade,
  -- compared byte by byte, as Swift lists
  name text collate "C" not null,
  content_type text not null,
  etag text not null,
  bytes bigint not null,
  headers jsonb not null default '{}',
  body bytea not null,
  modified_at timestamptz not null default now(),
  primary key (container_id, name)
);
