/**
 * `npm run -s conformance -- network`: our DHCP and TFTP against the npm registry's packages `dhcp` and `tftp`, which were written by
 * strangers and share no line with us. They are fetched when this runs, outside the lockfile: nothing of ours needs them.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { decodePacket, describePacket } from '../../../services/dhcp/index.ts';
import { createWire, end, serverAddress, type Wire } from '../../bench/network/wire.ts';
import type { Matrix } from '../main.ts';

const packages = ['dhcp@0.2.20', 'tftp@0.1.2'];
const place = '/var/tmp/undercloud-test-cache/strangers';
const root = join(import.meta.dirname, '../../..');
const size = 5_000_000;

interface Case {
  readonly name: string;
  /** What was seen; throws where it is not what should be. */
  readonly run: (wire: Wire) => Promise<string[]>;
}

const subnet = {
  id: 'a',
  cidr: '10.77.0.0/16',
  link: 'a',
  serverAddress,
  mode: 'server',
  pools: [{ from: '10.77.1.0', to: '10.77.1.255' }],
  router: serverAddress,
  dns: [serverAddress],
};

/** Runs our server on the wire while `work` is done. */
async function beside<T>(wire: Wire, words: readonly string[], work: () => Promise<T>): Promise<T> {
  const server = wire.serve(0, [process.execPath, ...words], ['pipe', 'pipe', 'inherit']);
  try {
    await new Promise<void>((resolve) => server.stdout?.once('data', () => resolve()));
    return await work();
  } finally {
    await end(server);
  }
}

const stranger = (wire: Wire, code: string) => wire.ask(1, ['timeout', '20', process.execPath, '-e', code]);
const required = (name: string) => `require(${JSON.stringify(join(place, 'node_modules', name))})`;

const cases: readonly Case[] = [
  {
    // Its first REQUEST names no address, since it takes it over from the OFFER only afterwards: so it is made to discover twice.
    name: 'the client of npm dhcp gets a lease of our server',
    async run(wire) {
      const orders = { links: [{ link: 'a', device: wire.device }], subnets: [subnet], reservations: [] };
      const fixture = join(root, 'services/dhcp/interop.fixture.ts');
      const said = await beside(wire, [fixture, JSON.stringify(orders)], () =>
        stranger(
          wire,
          `const c = ${required('dhcp')}.createClient({ mac: '02-00-00-00-dd-01', features: [] });
           c.on('bound', (s) => { console.log('bound', s.address, s.server, s.options.netmask, String(s.options.router)); process.exit(0); });
           let asked = 0; c.on('error', () => {});
           c.on('message', (m) => { if (m.options[53] === 2 && asked++ === 0) setImmediate(() => c.sendDiscover()); });
           c.listen(68, null, () => c.sendDiscover());`,
        ),
      );
      if (!said.includes(`bound 10.77.1.0 ${serverAddress} 255.255.0.0 ${serverAddress}`)) throw new Error(said);
      return [said.trim()];
    },
  },
  {
    name: 'our codec reads what the server of npm dhcp offers',
    async run(wire) {
      const asker = `
        const socket = require('node:dgram').createSocket('udp4');
        socket.on('message', (bytes) => { console.log(bytes.toString('hex')); process.exit(0); });
        const bytes = Buffer.alloc(300); bytes.set([1, 1, 6, 0, 0, 0, 0, 7]); bytes[10] = 128;
        bytes.set([2, 0, 0, 0, 0xdd, 2], 28); bytes.set([99, 130, 83, 99, 53, 1, 1, 55, 3, 1, 3, 6, 255], 236);
        socket.bind(68, () => { socket.setBroadcast(true); socket.send(bytes, 67, '255.255.255.255'); });`;
      const serving = `const s = ${required('dhcp')}.createServer({ range: ['10.77.2.10', '10.77.2.20'], netmask: '255.255.0.0', router: ['${serverAddress}'],
        dns: ['${serverAddress}'], server: '${serverAddress}', broadcast: '10.77.255.255' });
        s.on('error', () => {}); s.on('listening', () => console.log('ready')); s.listen(67);`;
      const hex = await beside(wire, ['-e', serving], () => stranger(wire, asker));
      const decoded = decodePacket(Buffer.from(hex.trim(), 'hex'));
      if (!decoded.ok) throw new Error(decoded.reason);
      const lines = describePacket(decoded.packet);
      if (!lines.includes('53 message-type: OFFER') || !lines.some((line) => line.startsWith('yiaddr 10.77.2.')))
        throw new Error(lines.join('\n'));
      return lines.filter((line) => /^(yiaddr|53|54|1 )/.test(line));
    },
  },
  ...[1, 16].map((windowSize): Case => {
    return {
      name: `the client of npm tftp fetches a file of ours, windowsize ${windowSize}`,
      async run(wire) {
        const dir = mkdtempSync('/var/tmp/uc-strangers-');
        const bytes = randomBytes(size);
        writeFileSync(join(dir, 'image'), bytes);
        try {
          const got = join(dir, 'got');
          const words = [join(root, 'test/bench/tftp/server.fixture.ts'), wire.device, serverAddress, dir];
          const said = await beside(wire, words, () =>
            stranger(
              wire,
              `${required('tftp')}.createClient({ host: '${serverAddress}', port: 69, blockSize: 1468, windowSize: ${windowSize} })
                 .get('image', ${JSON.stringify(got)}, (error) => { console.log(error ? String(error) : 'fetched'); process.exit(0); });`,
            ),
          );
          const sum = (file: Buffer) => createHash('sha256').update(file).digest('hex');
          if (!said.includes('fetched') || sum(readFileSync(got)) !== sum(bytes)) throw new Error(said);
          return [`${size} bytes, the same`];
        } finally {
          rmSync(dir, { recursive: true });
        }
      },
    };
  }),
];

export const matrix: Matrix = async (only, report) => {
  await ensurePackages(['tests']);
  mkdirSync(place, { recursive: true });
  // No scripts: they are only read by node.
  const words = ['install', '--prefix', place, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...packages];
  execFileSync('npm', words, { stdio: ['ignore', 'ignore', 'inherit'] });
  for (const one of cases.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)))) {
    const wire = createWire();
    try {
      // A broadcast leaves by the default route.
      await wire.ask(1, ['ip', 'route', 'add', 'default', 'dev', wire.device]);
      report({ name: one.name, passed: true, details: await one.run(wire) });
    } catch (error) {
      report({ name: one.name, passed: false, details: [error instanceof Error ? error.message : String(error)] });
    } finally {
      wire.close();
    }
  }
};
