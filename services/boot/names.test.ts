import dgram from 'node:dgram';
import net from 'node:net';
import * as codec from 'dns-packet';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hostListener } from '../core/sockets.ts';
import { createNames, type NamesDeps, serveNames } from './names.ts';

const deps: NamesDeps = {
  domain: 'cluster.example',
  isOurs: (address) => address.startsWith('192.0.2.'),
  addressOf: async (host) => ({ 'node-1': '192.0.2.5', undercloud: '192.0.2.1' })[host] ?? null,
  nameAt: (address) => ({ '192.0.2.5': 'node-1', '192.0.2.1': 'undercloud' })[address] ?? null,
  forwarders: [],
  onTrouble: () => {},
};
const ask = (type: string, name: string): Buffer =>
  Buffer.from(
    codec.encode({ id: 4711, type: 'query', flags: codec.RECURSION_DESIRED, questions: [{ type: type as 'A', name }] }),
  );

async function answered(type: string, name: string, more: Partial<NamesDeps> = {}) {
  const bytes = await createNames({ ...deps, ...more }).answer(ask(type, name), 'udp');
  if (!bytes) throw new Error('no answer');
  const { id, rcode, answers, authorities } = codec.decode(bytes) as codec.DecodedPacket & { rcode: string };
  return { id, rcode, answers: answers?.map((one) => 'data' in one && one.data), soa: authorities?.length };
}

describe('names', () => {
  it('answers A and PTR of nodes and servers', async () => {
    expect(await answered('A', 'node-1.cluster.example')).toEqual({
      id: 4711,
      rcode: 'NOERROR',
      answers: ['192.0.2.5'],
      soa: 0,
    });
    expect((await answered('A', 'NODE-1.Cluster.Example')).answers).toEqual(['192.0.2.5']);
    expect((await answered('PTR', '5.2.0.192.in-addr.arpa')).answers).toEqual(['node-1.cluster.example']);
    expect((await answered('A', 'undercloud.cluster.example')).answers).toEqual(['192.0.2.1']);
  });

  it('says of its own zone what is not there, with the SOA', async () => {
    expect(await answered('A', 'node-9.cluster.example')).toMatchObject({ rcode: 'NXDOMAIN', soa: 1 });
    expect(await answered('AAAA', 'node-1.cluster.example')).toMatchObject({ rcode: 'NOERROR', answers: [], soa: 1 });
    expect(await answered('PTR', '9.2.0.192.in-addr.arpa')).toMatchObject({ rcode: 'NXDOMAIN' });
    expect(await answered('A', 'cluster.example')).toMatchObject({ rcode: 'NOERROR', soa: 1 });
  });

  it('refuses everything else where nobody is named to ask', async () => {
    for (const name of ['debian.example', 'evilcluster.example', '5.100.51.198.in-addr.arpa'])
      expect(await answered('A', name)).toMatchObject({ rcode: 'REFUSED', answers: [] });
  });

  it('does not answer what is no question', async () => {
    const names = createNames(deps);
    const question = ask('A', 'node-1.cluster.example');
    for (let length = 0; length < question.length; length += 1)
      expect(await names.answer(question.subarray(0, length), 'udp')).toBeNull();
    const reply = Buffer.from(question);
    reply[2] = (reply[2] ?? 0) | 0x80;
    expect(await names.answer(reply, 'udp')).toBeNull();
  });

  it('asks the configured name servers, the second where the first is silent', async () => {
    const upstream = dgram.createSocket('udp4');
    upstream.on('message', (message, peer) => {
      const { id, questions } = codec.decode(message);
      const answers = [{ type: 'A' as const, name: questions?.[0]?.name ?? '', ttl: 5, data: '198.51.100.7' }];
      upstream.send(
        codec.encode({ id: id ?? 0, type: 'response', questions: questions ?? [], answers }),
        peer.port,
        peer.address,
      );
    });
    await new Promise<void>((resolve) => upstream.bind(0, '127.0.0.1', () => resolve()));
    onTestFinished(() => void upstream.close());
    const more = { forwarders: ['127.0.0.77', '127.0.0.1'], forwardPort: upstream.address().port, forwardMs: 100 };
    expect(await answered('A', 'debian.example', more)).toMatchObject({ rcode: 'NOERROR', answers: ['198.51.100.7'] });
    const troubles: string[] = [];
    const nobody = { ...more, forwarders: ['127.0.0.77'], onTrouble: (text: string) => void troubles.push(text) };
    expect(await answered('A', 'debian.example', nobody)).toMatchObject({ rcode: 'SERVFAIL' });
    expect(troubles).toEqual(['DNS: none of 127.0.0.77 answers about debian.example']);
  });

  it('is served by UDP and TCP on sockets that were handed in', async () => {
    const udp = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', () => resolve()));
    // A port that is free, then as the supervisor opens it: a descriptor that listens already.
    const free = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => free.once('listening', resolve));
    const { port } = free.address() as net.AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const fd = hostListener('127.0.0.1', port);
    const stop = serveNames(createNames(deps), udp, { fd }, (text) => expect.unreachable(text));
    onTestFinished(() => {
      stop();
      udp.close();
    });
    const client = dgram.createSocket('udp4');
    onTestFinished(() => void client.close());
    const byUdp = new Promise<Buffer>((resolve) => client.once('message', resolve));
    client.send(ask('A', 'node-1.cluster.example'), udp.address().port, '127.0.0.1');
    expect(codec.decode(await byUdp).answers).toMatchObject([{ data: '192.0.2.5' }]);
    const socket = net.connect(port, '127.0.0.1');
    const question = ask('PTR', '5.2.0.192.in-addr.arpa');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    // In two parts, as a slow client sends it.
    socket.write(length);
    socket.write(question);
    const byTcp = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(codec.streamDecode(byTcp)?.answers).toMatchObject([{ data: 'node-1.cluster.example' }]);
    socket.destroy();
  });
});
