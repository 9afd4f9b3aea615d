/** Debian's network daemons, in one tree. */
import type { Peer } from './root.ts';

export const networkPeers: Peer = {
  name: 'network',
  // atftpd and tftpd-hpa cannot lie in one tree; only atftpd knows windowsize.
  packages: ['kea-dhcp4-server', 'dnsmasq-base', 'nginx-light', 'atftpd', 'isc-dhcp-relay'],
  users: ['nobody:x:65534:65534::/:/bin/sh'],
  groups: ['nogroup:x:65534:'],
  directories: ['run/kea', 'run/lock/kea', 'var/lib/kea', 'var/log/nginx', 'var/lib/nginx', 'srv/boot'],
};
