-- Report cards of BMCs, by vendor, model and firmware: what was measured of one is used for all alike.

create table baremetal.bmc_cards (
  vendor text not null,
  model text not null,
  firmware text not null,
  rows jsonb not null,
  quirks jsonb not null,
  -- The node whose BMC was examined; it may be gone since.
  node uuid not null,
  taken_at timestamptz not null default now(),
  primary key (vendor, model, firmware)
);
