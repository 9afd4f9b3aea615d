-- Whoever serves DHCP hears, at the commit, which MACs may have other addresses now, whichever process changed them. Above a
-- hundred of them it hears `*`: look at all.
create function network.tell_macs(macs text[]) returns void language sql as $$
  select pg_notify('undercloud_macs', case when cardinality(macs) > 100 then '*' else mac end) from unnest(macs) as mac
$$;

create function network.ports_changed() returns trigger language plpgsql as $$
begin
  perform network.tell_macs(array(select distinct mac_address from changed));
  return null;
end $$;

create function network.ports_moved() returns trigger language plpgsql as $$
begin
  perform network.tell_macs(array(select mac_address from before union select mac_address from changed));
  return null;
end $$;

create function network.addresses_changed() returns trigger language plpgsql as $$
begin
  perform network.tell_macs(array(
    select distinct p.mac_address from changed c join network.ports p on p.id = c.port_id));
  return null;
end $$;

create trigger ports_made after insert on network.ports referencing new table as changed
  for each statement execute function network.ports_changed();
create trigger ports_gone after delete on network.ports referencing old table as changed
  for each statement execute function network.ports_changed();
create trigger ports_moved after update on network.ports referencing old table as before new table as changed
  for each statement execute function network.ports_moved();
create trigger addresses_given after insert on network.addresses referencing new table as changed
  for each statement execute function network.addresses_changed();
create trigger addresses_back after delete on network.addresses referencing old table as changed
  for each statement execute function network.addresses_changed();

-- Renewals rewrite rows in place: room on each page keeps the index out of it.
alter table network.leases set (fillfactor = 70);
