-- Consoles that are kept open and recorded although nobody watches (Ironic's console_enabled).

create table baremetal.consoles (
  node uuid primary key references baremetal.nodes (uuid) on delete cascade,
  enabled_at timestamptz not null default now()
);
