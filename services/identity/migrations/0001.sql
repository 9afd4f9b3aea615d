create schema identity;

create table identity.domains (id text primary key, name text not null unique, description text not null default '', enabled boolean not null default true);

create table identity.projects (
  id text primary key,
  domain_id text not null references identity.domains (id),
  name text not null,
  description text not null default '',
  enabled boolean not null default true,
  unique (domain_id, name)
);

create table identity.users (
  id text primary key,
  domain_id text not null references identity.domains (id),
  name text not null,
  password text,
  default_project_id text references identity.projects (id) on delete set null,
  description text not null default '',
  enabled boolean not null default true,
  unique (domain_id, name)
);

create table identity.roles (id text primary key, name text not null unique);

create table identity.assignments (
  user_id text not null references identity.users (id) on delete cascade,
  role_id text not null references identity.roles (id) on delete cascade,
  project_id text references identity.projects (id) on delete cascade,
  unique nulls not distinct (user_id, role_id, project_id)
);

-- Only the hash of a token is kept: who reads the database cannot act as anybody.
create table identity.tokens (
  hash bytea primary key,
  audit_id text not null,
  user_id text not null references identity.users (id) on delete cascade,
  project_id text references identity.projects (id) on delete cascade,
  methods text[] not null,
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index tokens_by_expiry on identity.tokens (expires_at);
create index tokens_of_user on identity.tokens (user_id);

insert into identity.domains (id, name, description) values
  ('default', 'Default', 'The default domain'),
  ('stacks', 'stacks', 'Users that stacks make for the agents on their servers');
