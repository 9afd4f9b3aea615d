-- Whoever serves DHCP hears, at the commit, which MACs have become a node's, or no longer are. Above a hundred of them it
-- hears `*`: look at all.
create function baremetal.tell_macs(macs text[]) returns void language sql as $$
  select pg_notify('undercloud_macs', case when cardinality(macs) > 100 then '*' else mac end) from unnest(macs) as mac
$$;

create function baremetal.ports_changed() returns trigger language plpgsql as $$
begin
  perform baremetal.tell_macs(array(select distinct address from changed));
  return null;
end $$;

create function baremetal.ports_moved() returns trigger language plpgsql as $$
begin
  perform baremetal.tell_macs(array(select address from before union select address from changed));
  return null;
end $$;

create function baremetal.node_renamed() returns trigger language plpgsql as $$
begin
  perform baremetal.tell_macs(array(select address from baremetal.ports where node_uuid = new.uuid));
  return null;
end $$;

create trigger ports_made after insert on baremetal.ports referencing new table as changed
  for each statement execute function baremetal.ports_changed();
create trigger ports_gone after delete on baremetal.ports referencing old table as changed
  for each statement execute function baremetal.ports_changed();
create trigger ports_moved after update on baremetal.ports referencing old table as before new table as changed
  for each statement execute function baremetal.ports_moved();
create trigger node_renamed after update on baremetal.nodes for each row when (old.name is distinct from new.name)
  execute function baremetal.node_renamed();
