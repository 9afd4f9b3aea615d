/** A DHCP server that nobody asked for, on the interface of the first argument; the second adds router advertisements. */
import { datagramFrom, datagramSocket, sendIcmpv6, solicitationSocket } from '../../services/core/sockets.ts';
import { DhcpEngine, MemoryLeaseStore, routerAdvertisement, serveDhcp } from '../../services/dhcp/index.ts';

const [device = '', advertises] = process.argv.slice(2);
const engine = await DhcpEngine.open({
  subnets: [
    {
      id: 'foreign',
      cidr: '192.0.2.0/24',
      link: device,
      serverAddress: '192.0.2.9',
      mode: 'server',
      pools: [{ from: '192.0.2.200', to: '192.0.2.210' }],
    },
  ],
  store: new MemoryLeaseStore(),
  bootFor: async () => 'nothing',
  now: Date.now,
});
serveDhcp({ socket: await datagramFrom(datagramSocket('DHCP', device, '0.0.0.0', 67)), link: device, engine });
const icmp = advertises ? solicitationSocket(device) : null;
if (icmp !== null) setInterval(() => sendIcmpv6(icmp, routerAdvertisement(), 'ff02::1'), 200);
process.stdout.write('ready\n');
