/**
 * Plays `serve` with the boot service alone: without privileges, inside the namespace, on descriptors that were handed in.
 * The one argument is JSON; events go out as lines of JSON, intents come in as lines `MAC INTENT`, power-ons as `MAC on`,
 * and `- hold` asks what deploys wait for.
 */
import { createInterface } from 'node:readline';
import { type BootIntent, createBoot } from '../../services/boot/index.ts';
import { systemClock } from '../../services/core/clock.ts';
import { systemContext } from '../../services/core/context.ts';
import { openDatabase } from '../../services/core/database/index.ts';
import { datagramPort } from '../../services/core/datagrams.ts';
import { createRecorder } from '../../services/core/events/index.ts';
import { createApi, listen } from '../../services/core/http/index.ts';
import { createOperations } from '../../services/core/operations/index.ts';
import { createSecrets } from '../../services/core/secrets.ts';
import { createNetwork } from '../../services/network/index.ts';

export interface ServeArgument {
  readonly databaseUrl: string;
  readonly bootDir: string;
  readonly interface: string;
  readonly address: string;
  readonly fds: {
    readonly dhcp: number;
    readonly tftp: number;
    readonly boot: number;
    readonly wire: number;
    readonly ra?: number;
    readonly proxy?: number;
    /** The API for ramdisks, over TLS. */
    readonly provisioningApi: number;
  };
  readonly tls: { readonly cert: string; readonly key: string };
  readonly nodes: Readonly<Record<string, string>>;
  /** MACs of nodes that boot with Secure Boot. */
  readonly secure: readonly string[];
  readonly dhcp?: 'proxy';
  /** Default 0.3: the emulated machines of these tests are quick, and the tests shall be. */
  readonly speed?: number;
}

const given = JSON.parse(process.argv[2] ?? '{}') as ServeArgument;
const db = openDatabase({ url: given.databaseUrl });
const recorder = createRecorder(db);
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);
recorder.subscribe(({ kind, subject, data, durationMs, at }) => say({ kind, subject, data, durationMs, at }));
const house = {
  db,
  recorder,
  operations: createOperations({ db, recorder, owner: 'netboot' }),
  secrets: createSecrets(Buffer.alloc(32)),
  clock: systemClock,
};
const intents = new Map<string, BootIntent['intent']>();
/** Each intent is another power cycle, with a token of its own. */
let cycles = 0;
const intentOf = (mac: string): BootIntent | null => {
  const uuid = given.nodes[mac];
  if (uuid === undefined) return null;
  const intent = intents.get(mac) ?? 'none';
  const token = `token-${mac.replaceAll(':', '')}-${cycles}`;
  return {
    node: { uuid, name: `node-${mac.slice(-2)}` },
    intent,
    reason: `the test wants ${intent}`,
    secureBoot: given.secure.includes(mac),
    ...(intent === 'agent' && { token }),
    agentArguments: { 'ipa-debug': '1' },
  };
};
const network = createNetwork(house, { authenticate: async () => systemContext() });
await network.ensureProvisioning({
  name: 'ctlplane',
  cidr: '192.0.2.0/24',
  pool: ['192.0.2.2', '192.0.2.190'],
  address: given.address,
});
const boot = createBoot(house, {
  network,
  baremetal: {
    nodeByMac: async (mac) => intentOf(mac)?.node ?? null,
    bootIntent: async (mac) => intentOf(mac),
    modelOf: async () => 'QEMU',
    findNode: async (_context, name) => {
      const known = Object.keys(given.nodes)
        .map(intentOf)
        .find((one) => one?.node.uuid === name);
      if (!known) throw new Error(`no node ${name}`);
      return known.node;
    },
    portsOf: async (uuid) =>
      Object.entries(given.nodes)
        .filter(([, one]) => one === uuid)
        .map(([address]) => ({ address })),
    importNodes: async () => [],
  },
  sockets: {
    dhcp: datagramPort(given.fds.dhcp, { pacedMs: 2 }),
    tftp: datagramPort(given.fds.tftp),
    ...(given.fds.ra !== undefined && { ra: { fd: given.fds.ra } }),
    ...(given.fds.proxy !== undefined && { proxy: datagramPort(given.fds.proxy) }),
    wire: { fd: given.fds.wire },
  },
  bootDir: given.bootDir,
  provisioning: {
    interface: given.interface,
    address: given.address,
    unknownMachines: 'discover',
    foreignServers: 'hold',
    ...(given.dhcp && { dhcp: given.dhcp }),
  },
  authenticate: async () => systemContext(),
  probeMs: 1_000,
  lldpSeconds: 3,
  speed: given.speed ?? 0.3,
  apiUrl: `https://${given.address}:6385`,
  imageKey: 'the key of the test\n',
  caCertificate: given.tls.cert,
});
await boot.start();
const api = createApi();
api.register(boot.routes);
api.register(boot.apiRoutes, { prefix: '/uc' });
await listen(api, { fd: given.fds.boot });
const secureApi = createApi();
secureApi.register(boot.apiRoutes, { prefix: '/boot' });
await listen(secureApi, { fd: given.fds.provisioningApi }, given.tls);
createInterface({ input: process.stdin }).on('line', (line) => {
  const [mac = '', intent = ''] = line.split(' ');
  const subject = { type: 'node', id: given.nodes[mac] ?? '' };
  if (intent === 'hold') return say({ kind: 'set', line, hold: boot.hold()?.on ?? null });
  if (intent === 'on') {
    // As the operation tells it that switches a machine on.
    recorder.emit('node.boot-intent', subject, { intent: 'agent', reason: 'the test wants it', powerCycle: 1 });
    recorder.emit('node.power-state', subject, { from: 'off', to: 'on' } as never);
  } else {
    cycles += 1;
    intents.set(mac, intent as BootIntent['intent']);
  }
  say({ kind: 'set', line });
});
say({ kind: 'ready', uid: process.getuid?.() });
