import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import koffi from 'koffi';
import { DhcpEngine, MemoryLeaseStore, type SubnetConfig, serveDhcp } from './index.ts';

/**
 * A server process for the interoperability test, run inside a network namespace: `interop.fixture.ts '<json>'` with the links to serve, the
 * subnets and the reservations. Each event is a line of JSON on stdout; it ends when stdin does.
 */
interface Orders {
  readonly links: readonly { readonly link: string; readonly device: string }[];
  readonly subnets: readonly SubnetConfig[];
  readonly reservations: readonly { readonly mac: string; readonly address: string }[];
}

const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

/** One socket an interface: it hears that wire's broadcasts only, and its own leave there only. */
async function socketOn(device: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: 4 << 20 });
  socket.bind(67, '0.0.0.0');
  await once(socket, 'listening');
  const setsockopt = koffi.load('libc.so.6').func('int setsockopt(int, int, int, const char *, int)');
  const handle = (socket as unknown as { _handle: { fd: number } })._handle;
  if (setsockopt(handle.fd, SOL_SOCKET, SO_BINDTODEVICE, device, device.length + 1) !== 0)
    throw new Error(`no socket on ${device}`);
  return socket;
}

const { links, subnets, reservations } = JSON.parse(process.argv[2]!) as Orders;
const generous = { burst: 100_000, perSecond: 100_000 };
const engine = await DhcpEngine.open({
  subnets,
  store: new MemoryLeaseStore(),
  bootFor: async ({ arch }) => ({ filename: `boot-${arch}` }),
  now: Date.now,
});
for (const reservation of reservations) engine.reservations.set(reservation);
for (const { link, device } of links) {
  serveDhcp({
    socket: await socketOn(device),
    link,
    engine,
    limits: { perClient: generous, strangers: generous },
    onEvent: (event) => console.log(JSON.stringify(event)),
  });
}
console.log(JSON.stringify({ type: 'ready' }));
createInterface({ input: process.stdin }).on('close', () => {
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ type: 'cpu', seconds: (user + system) / 1e6 }));
  process.exit(0);
});
