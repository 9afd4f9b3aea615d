-- Files of what a rollback goes back to: the definition alone may name templates that the update has changed.
alter table orchestration.stacks add column previous_files_id text references orchestration.files;
update orchestration.stacks set previous_files_id = files_id where previous is not null;

-- A stack as it was: what it can be restored to.
create table orchestration.snapshots (
  id uuid primary key,
  stack_id uuid not null references orchestration.stacks on delete cascade,
  name text,
  status text not null,
  reason text,
  -- sealed: the export, the definition and the files' id; null until it is complete
  body text,
  created_at timestamptz not null default clock_timestamp()
);
create index snapshots_of_stack on orchestration.snapshots (stack_id, created_at);
