/** Plays `serve`: has no privileges, gets descriptors 3 and up in the order of the arguments, and answers on each. */
import http from 'node:http';
import { datagramFrom, type ProvisioningSockets, receiveIcmpv6, sendIcmpv6 } from '../../services/core/sockets.ts';
import { routerAdvertisement } from '../../services/dhcp/index.ts';

const fds = Object.fromEntries(process.argv.slice(2).map((name, i) => [name, i + 3])) as unknown as ProvisioningSockets;

for (const name of ['dhcp', 'tftp'] as const) {
  const socket = await datagramFrom(fds[name]);
  socket.on('message', (message, peer) => {
    const to = name === 'dhcp' ? '255.255.255.255' : peer.address;
    socket.send(`${name} heard ${message} uid ${process.getuid?.()}`, peer.port, to);
  });
}
for (const name of ['provisioningApi', 'boot', 'metadata'] as const) {
  const fd = fds[name];
  if (fd === undefined) continue;
  const server = http.createServer((request, response) => response.end(`${name} to ${request.socket.remoteAddress}`));
  await new Promise<void>((resolve) => server.listen({ fd }, resolve));
}
setInterval(() => {
  for (;;) {
    if (fds.ra === undefined) return;
    const solicitation = receiveIcmpv6(fds.ra);
    if (!solicitation) return;
    sendIcmpv6(fds.ra, routerAdvertisement(), 'ff02::1');
  }
}, 20);
process.stdout.write('ready\n');
