import { createInterface } from 'node:readline';
import { datagramPort } from '../core/datagrams.ts';
import { datagramSocket } from '../core/sockets.ts';
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

const { links, subnets, reservations } = JSON.parse(process.argv[2]!) as Orders;
const generous = { burst: 100_000, perSecond: 100_000 };
const proxied = subnets.filter(({ mode }) => mode === 'proxy').map(({ link }) => link);
const engine = await DhcpEngine.open({
  subnets,
  store: new MemoryLeaseStore(),
  bootFor: async ({ arch }) => ({ filename: `boot-${arch}` }),
  now: Date.now,
});
for (const reservation of reservations) engine.reservations.set(reservation);
for (const { link, device } of links) {
  serveDhcp({
    // One socket an interface: it hears that wire's broadcasts only, and its own leave there only.
    socket: datagramPort(datagramSocket('DHCP', device, '0.0.0.0', 67), { pacedMs: 2 }),
    ...(proxied.includes(link) && {
      bootServerSocket: datagramPort(datagramSocket('ProxyDHCP', device, '0.0.0.0', 4011)),
    }),
    link,
    engine,
    limits: { perClient: generous, strangers: generous },
    // What is made when it is read has to be read here.
    onEvent: (event) =>
      console.log(JSON.stringify(event.type === 'exchange' ? { ...event, exchange: event.exchange } : event)),
  });
}
console.log(JSON.stringify({ type: 'ready' }));
createInterface({ input: process.stdin }).on('close', () => {
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ type: 'cpu', seconds: (user + system) / 1e6 }));
  process.exit(0);
});
