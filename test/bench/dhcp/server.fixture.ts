/**
 * Our DHCP server as a process by itself: `server.fixture.ts DATABASE DEVICE ADDRESS CIDR FIRST LAST`. Put together as services/boot does
 * it: the socket in batches, leases in PostgreSQL, exchanges told to the flight recorder.
 */
import { createCrowd } from '../../../services/boot/crowd.ts';
import { openDatabase } from '../../../services/core/database/index.ts';
import { datagramPort } from '../../../services/core/datagrams.ts';
import { createRecorder } from '../../../services/core/events/index.ts';
import { datagramSocket } from '../../../services/core/sockets.ts';
import { DhcpEngine, serveDhcp } from '../../../services/dhcp/index.ts';
import { createLeaseStore } from '../../../services/network/leases.ts';

const [, , url = '', device = '', address = '', cidr = '', from = '', to = ''] = process.argv;
const db = openDatabase({ url });
const recorder = createRecorder(db);
const engine = await DhcpEngine.open({
  subnets: [
    { id: 'bench', cidr, link: device, serverAddress: address, mode: 'server', pools: [{ from, to }], router: address },
  ],
  store: createLeaseStore(db),
  bootFor: async () => 'nothing',
  now: Date.now,
});
const subject = { type: 'interface', id: device };
const crowd = createCrowd({
  one: ({ exchange, outcome, count, tookMs }) => {
    const { mac, message, reason, answered } = exchange;
    const said = { mac, message, client: 'a system', outcome, address: answered?.address ?? null, bootFile: null };
    const text = `${mac} was answered ${answered?.address ?? 'nothing'}`;
    recorder.emit('dhcp.exchange', subject, { text, ...said, reason, count }, { durationMs: tookMs });
  },
  many: (outcome, count) => {
    const said = {
      mac: null,
      message: 'REQUEST',
      client: 'many',
      outcome,
      address: null,
      bootFile: null,
      reason: null,
    };
    recorder.emit('dhcp.exchange', subject, { text: `${count} more ${outcome}`, ...said, count });
  },
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
});
const free = { burst: 1e6, perSecond: 1e6 };
serveDhcp({
  socket: datagramPort(datagramSocket('DHCP', device, '0.0.0.0', 67), { pacedMs: 8 }),
  link: device,
  engine,
  // perfdhcp plays a hundred clients that each ask ten times a second; neither peer has limits.
  limits: { perClient: free, strangers: free, known: free },
  onEvent: (event) => {
    if (event.type === 'exchange') crowd.add(event);
    // Of a million bad packets this would be all that is read.
    else if (event.type !== 'malformed' && event.type !== 'send-failed') console.error(JSON.stringify(event));
  },
});
process.stdout.write('ready\n');
process.on('SIGTERM', () => process.exit(0));
