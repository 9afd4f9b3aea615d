-- What boots have taught: which loader works on which model, how long each step takes there; machines that nobody has
-- enrolled; and who else answers DHCP on the provisioning wire.

create schema boot;

-- A rung of the ladder of loaders, by model and by what asks.
create table boot.outcomes (
  model text not null,
  -- `efi-x64 pxe-rom`
  asker text not null,
  -- `snponly.efi over tftp`
  rung text not null,
  successes bigint not null default 0,
  failures_in_a_row int not null default 0,
  last_at timestamptz not null default clock_timestamp(),
  primary key (model, asker, rung)
);

-- Milliseconds of the newest boots from one step to the next.
create table boot.step_times (
  model text not null,
  from_step text not null,
  to_step text not null,
  -- Newest last.
  samples float8[] not null default '{}',
  boots bigint not null default 0,
  primary key (model, from_step, to_step)
);

create table boot.candidates (
  id uuid primary key,
  -- How it was found first: its own boot, or a scan for BMCs.
  source text not null check (source in ('boot', 'bmc-scan')),
  -- The MAC that it booted from; null when only its BMC is known.
  mac text unique,
  -- Of the discovery ramdisk: sealed, and as a hash to be compared.
  token_sealed text,
  token_hash text unique,
  -- What it is to do: `booting` until its inventory has come.
  state text not null check (state in ('booting', 'reported')),
  macs text[] not null default '{}',
  system_uuid text,
  vendor text,
  product text,
  serial text,
  boot_mode text,
  bmc_address text,
  bmc_protocol text,
  -- {username, password} that a scan found to work, sealed.
  bmc_secret text,
  inventory jsonb,
  -- By interface: {chassis, port, system, …}.
  neighbours jsonb not null default '{}',
  seen_count bigint not null default 1,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp()
);
create unique index candidates_by_bmc on boot.candidates (bmc_address) where bmc_address is not null;

create table boot.foreign_servers (
  interface text not null,
  mac text not null,
  address text not null,
  -- `DHCP`, `ProxyDHCP`
  kind text not null,
  offered text,
  boot_file text,
  how text not null,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp(),
  gone_at timestamptz,
  primary key (interface, mac, address)
);
