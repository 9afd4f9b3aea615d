-- A server whose node is being written anew with another image.
alter table compute.servers drop constraint servers_status_check;
alter table compute.servers add constraint servers_status_check
  check (status in ('BUILD', 'REBUILD', 'ACTIVE', 'ERROR', 'SHUTOFF', 'REBOOT', 'DELETED'));
