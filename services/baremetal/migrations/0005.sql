-- How machines obeyed the boot device that their BMC had read back: counts by kind of BMC, device and way of setting it.
create table baremetal.bmc_boots (
  vendor text not null,
  model text not null,
  firmware text not null,
  device text not null check (device in ('pxe', 'disk')),
  way text not null check (way in ('once', 'always', 'again')),
  obeyed integer not null default 0,
  ignored integer not null default 0,
  unheard integer not null default 0,
  node uuid not null,
  seen_at timestamptz not null default now(),
  primary key (vendor, model, firmware, device, way)
);

-- What a node's next start is to boot, as its BMC has read it back. What is meant for one boot goes when that boot begins.
create table baremetal.boot_orders (
  node_uuid uuid primary key references baremetal.nodes (uuid) on delete cascade,
  device text not null check (device in ('pxe', 'disk')),
  way text not null check (way in ('once', 'always', 'again')),
  -- Ordered while the machine ran, for a reset: that it was obeyed proves nothing of a start by power.
  by_reset boolean not null,
  ordered_at timestamptz not null default clock_timestamp()
);

-- Which process looks at the BMCs: one of all that serve this database.
create table baremetal.fleet_holder (
  sole boolean primary key default true check (sole),
  owner text not null,
  until timestamptz not null
);
