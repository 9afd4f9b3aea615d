-- The flight recorder, leases and long operations.

create table core.events (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  subject_type text not null,
  subject_id text not null,
  kind text not null,
  data jsonb not null,
  duration_ms double precision,
  cause text,
  request_id text
);
create index events_of_subject on core.events (subject_type, subject_id, id);
create index events_by_age on core.events (at);

create table core.leases (
  subject_type text not null,
  subject_id text not null,
  fence bigint not null,
  owner text not null,
  expires_at timestamptz not null,
  primary key (subject_type, subject_id)
);
create index leases_of_owner on core.leases (owner);

create table core.operations (
  id uuid primary key,
  kind text not null,
  definition int not null,
  subject_type text not null,
  subject_id text not null,
  params jsonb not null,
  context jsonb not null,
  state text not null check (state in ('running', 'undoing', 'succeeded', 'failed')),
  step text,
  results jsonb not null default '{}',
  waiting jsonb,
  progress jsonb,
  attempt int not null default 0,
  step_started_at timestamptz,
  error jsonb,
  cancel_reason text,
  wakes bigint not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
-- One operation at a time works on a subject; this index is the lock that a caller sees as "busy".
create unique index operations_active on core.operations (subject_type, subject_id) where state in ('running', 'undoing');
create index operations_of_subject on core.operations (subject_type, subject_id, created_at);

create table core.operation_steps (
  operation_id uuid not null references core.operations (id) on delete cascade,
  kind text not null,
  step text not null,
  direction text not null check (direction in ('do', 'undo')),
  started_at timestamptz not null,
  finished_at timestamptz not null default clock_timestamp(),
  seconds double precision not null,
  primary key (operation_id, step, direction)
);
-- How long a step usually takes is the median of its last runs.
create index operation_steps_history on core.operation_steps (kind, step, finished_at) where direction = 'do';
