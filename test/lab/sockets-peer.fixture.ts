/** Plays a machine on the wire: asks everything and prints what it was answered, as JSON. Arguments: interface, server. */
import http from 'node:http';
import {
  datagramFrom,
  datagramSocket,
  icmpv6Socket,
  ROUTER_ADVERTISEMENT,
  receiveIcmpv6,
  sendIcmpv6,
} from '../../services/core/sockets.ts';

const [device = '', server = ''] = process.argv.slice(2);

async function udp(port: number, to: string): Promise<string> {
  const socket = await datagramFrom(datagramSocket('a client', device, '0.0.0.0', port === 67 ? 68 : 0));
  socket.setBroadcast(true);
  const answered = new Promise<string>((resolve) =>
    socket.once('message', (message, peer) => resolve(`${message} from ${peer.address}:${peer.port}`)),
  );
  socket.send('hello', port, to);
  const text = await answered;
  socket.close();
  return text;
}

const get = (host: string, port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    http
      .get({ host, port }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
      })
      .on('error', reject);
  });

async function advertisement(): Promise<string> {
  const fd = icmpv6Socket(device, ROUTER_ADVERTISEMENT, 'ff02::1');
  if (fd === null) return 'no IPv6';
  // Until the link-local address has passed its duplicate check nothing can be sent.
  const solicitation = Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0);
  for (;;) {
    sendIcmpv6(fd, solicitation, 'ff02::2');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const heard = receiveIcmpv6(fd);
    if (heard) return `type ${heard.bytes[0]}, ${heard.bytes.length} bytes from ${heard.from.replace(/:.*/, '')}`;
  }
}

const answers = {
  dhcp: await udp(67, '255.255.255.255'),
  tftp: await udp(69, server),
  api: await get(server, 6385),
  boot: await get(server, 8088),
  metadata: await get('169.254.169.254', 80),
  ra: await advertisement(),
};
process.stdout.write(JSON.stringify(answers));
process.exit(0);
