import { execFileSync } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { handClock } from '../../test/setup/hand-clock.ts';
import { createWorld } from '../../test/setup/world.ts';
import { createApi, listen } from '../core/http/index.ts';
import { BOOTREPLY, decodePacket, encodePacket, MESSAGE, OPTION } from '../dhcp/index.ts';
import { captureBoot } from './capture.ts';
import { broadcastFrame, checksum, concerns, frameFilter, macBytes, mostCaptured, readUdp } from './frame.ts';
import { pcapHeader, pcapRecord } from './pcap.ts';
import { createWatch } from './watch.ts';
import type { Wire } from './wire.ts';

const ourMac = macBytes('52:54:00:00:00:01');

/** An OFFER as a foreign server broadcasts it. */
function offer(fields: {
  from: string;
  mac: string;
  yiaddr?: number;
  xid?: number;
  chaddr?: Uint8Array;
  file?: string;
}): Buffer {
  const address = fields.from.split('.').map(Number);
  const { bytes } = encodePacket(
    {
      ...{
        op: BOOTREPLY,
        htype: 1,
        hlen: 6,
        hops: 0,
        secs: 0,
        flags: 0x8000,
        ciaddr: 0,
        siaddr: 0,
        giaddr: 0,
        sname: '',
      },
      xid: fields.xid ?? 7,
      yiaddr: fields.yiaddr ?? 0xc00002c8,
      chaddr: Uint8Array.of(...(fields.chaddr ?? new Uint8Array(6)), ...new Uint8Array(10)),
      file: fields.file ?? '',
      options: new Map([
        [OPTION.messageType, Uint8Array.of(MESSAGE.offer)],
        [OPTION.serverId, Uint8Array.of(...address)],
      ]),
    },
    548,
  );
  const frame = broadcastFrame(macBytes(fields.mac), bytes);
  frame.set(address, 14 + 12);
  frame.writeUInt16BE(67, 34);
  frame.writeUInt16BE(68, 36);
  return frame;
}

async function scene(policy: 'report' | 'hold' = 'hold', known: string[] = [], isProxy = false) {
  const { clock, pass } = handClock();
  const world = await createWorld({ clock });
  const sent: Buffer[] = [];
  let hear: (frame: Buffer, isOutgoing?: boolean) => void = () => {};
  const wire: Wire = {
    mac: ourMac,
    send: (frame) => {
      sent.push(Buffer.from(frame));
      return null;
    },
    onAnswer(listener) {
      hear = (bytes) => listener({ bytes, length: bytes.length, isOutgoing: false });
      return () => {};
    },
    capture: () => null,
    stop: () => {},
  };
  const make = () =>
    createWatch({
      house: world,
      wire,
      interface: 'br0',
      known: ['192.0.2.1', ...known],
      policy,
      isProxy,
      probeMs: 60_000,
    });
  const watch = make();
  await watch.start();
  return { world, watch, make, sent, pass, hear: (frame: Buffer) => hear(frame) };
}

describe('the watch for foreign servers', () => {
  it('asks as a machine that cannot exist, for DHCP and for PXE', async () => {
    const { sent, pass, watch } = await scene();
    await pass(60_000);
    expect(sent).toHaveLength(2);
    const udp = readUdp(sent[0] ?? Buffer.alloc(0));
    expect(udp).toMatchObject({
      sourceMac: '52:54:00:00:00:01',
      sourceAddress: '0.0.0.0',
      sourcePort: 68,
      destinationPort: 67,
    });
    const ip = (sent[0] ?? Buffer.alloc(0)).subarray(14, 34);
    expect(checksum(ip)).toBe(0);
    const decoded = decodePacket(udp?.payload ?? new Uint8Array());
    if (!decoded.ok) throw new Error(decoded.reason);
    const { chaddr, options, flags } = decoded.packet;
    // Locally administered; another one each time.
    expect((chaddr[0] ?? 0) & 3).toBe(2);
    expect(flags).toBe(0x8000);
    expect(Buffer.from(options.get(OPTION.vendorClass) ?? []).toString()).toBe('PXEClient:Arch:00007:UNDI:003000');
    expect(sent[0]?.equals(sent[1] ?? Buffer.alloc(0))).toBe(false);
    watch.stop();
  });

  it('names who answers by MAC and address, once, holds deploys, and lets go when it is gone', async () => {
    const { world, watch, hear, pass } = await scene();
    const events: string[] = [];
    world.recorder.subscribe(({ kind }) => events.push(kind));
    expect(watch.hold()).toBeNull();
    for (let i = 0; i < 3; i += 1) hear(offer({ from: '192.0.2.77', mac: '52:54:00:99:00:07', file: 'evil.0' }));
    const found = await world.heard('boot.foreign-server');
    expect(found.subject).toEqual({ type: 'interface', id: 'br0' });
    expect(found.data).toMatchObject({
      text: '192.0.2.77 (52:54:00:99:00:07) answers DHCP on br0 and offers 192.0.2.200 and evil.0: machines may take its offer instead of ours. Stop that server, or put the nodes on a network of their own.',
      mac: '52:54:00:99:00:07',
    });
    expect(events.filter((kind) => kind === 'boot.foreign-server')).toHaveLength(1);
    expect(watch.hold()).toMatchObject({
      on: expect.stringContaining('the foreign DHCP server 192.0.2.77 (52:54:00:99:00:07) on br0 to go'),
      remedy: expect.stringContaining('provisioning.knownServers'),
    });
    await pass(200_000);
    expect(watch.hold()).not.toBeNull();
    await pass(60_000);
    expect(watch.hold()).toBeNull();
    await world.heard('boot.foreign-server-gone');
    watch.stop();
  });

  it('tells ProxyDHCP from DHCP, and remembers across a restart', async () => {
    const { world, watch, make, hear } = await scene();
    hear(offer({ from: '192.0.2.78', mac: '52:54:00:99:00:08', yiaddr: 0, file: 'pxe.0' }));
    expect(watch.current()).toMatchObject([{ kind: 'ProxyDHCP', address: '192.0.2.78', bootFile: 'pxe.0' }]);
    await expect
      .poll(async () => (await world.db.pool.query('select mac from boot.foreign_servers')).rows)
      .toEqual([{ mac: '52:54:00:99:00:08' }]);
    watch.stop();
    const again = make();
    await again.start();
    expect(again.current()).toMatchObject([{ kind: 'ProxyDHCP', mac: '52:54:00:99:00:08' }]);
    again.stop();
  });

  it('minds nobody who is known, and holds nothing where the policy is to report', async () => {
    const { watch, hear } = await scene('report', ['192.0.2.77']);
    hear(offer({ from: '192.0.2.77', mac: '52:54:00:99:00:07' }));
    hear(offer({ from: '192.0.2.1', mac: '52:54:00:00:00:01' }));
    expect(watch.current()).toEqual([]);
    hear(offer({ from: '192.0.2.79', mac: '52:54:00:99:00:09' }));
    expect(watch.current()).toHaveLength(1);
    expect(watch.hold()).toBeNull();
    watch.stop();
  });

  it('beside another server on purpose, minds only those who offer something to boot', async () => {
    const { watch, hear } = await scene('hold', [], true);
    hear(offer({ from: '192.0.2.9', mac: '52:54:00:99:00:09' }));
    expect(watch.hold()).toBeNull();
    hear(offer({ from: '192.0.2.9', mac: '52:54:00:99:00:09', file: 'pxelinux.0' }));
    expect(watch.hold()?.on).toContain('192.0.2.9');
    watch.stop();
  });

  it('survives frames that are cut off anywhere and bytes that are anything', async () => {
    const { watch, hear } = await scene();
    const frame = offer({ from: '192.0.2.77', mac: '52:54:00:99:00:07' });
    for (let length = 0; length < frame.length; length += 1) hear(frame.subarray(0, length));
    for (let i = 0; i < frame.length; i += 1) {
      const bent = Buffer.from(frame);
      bent[i] = (bent[i] ?? 0) ^ 0xff;
      hear(bent);
    }
    expect(watch.current().every(({ mac }) => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))).toBe(true);
    watch.stop();
  });
});

/** Classic BPF as the kernel runs it: enough to prove the filter. */
function run(program: ReturnType<typeof frameFilter>, frame: Buffer): number {
  let a = 0;
  let x = 0;
  for (let pc = 0; pc < program.length; pc += 1) {
    const [code, jt, jf, k] = program[pc] ?? [0, 0, 0, 0];
    const need = { 32: 4, 40: 2, 48: 1, 72: 2, 177: 1 }[code];
    const at = code === 72 ? x + k : k;
    if (need && at + need > frame.length) return 0;
    if (code === 0x20) a = frame.readUInt32BE(at);
    else if (code === 0x28 || code === 0x48) a = frame.readUInt16BE(at);
    else if (code === 0x30) a = frame[at] ?? 0;
    else if (code === 0xb1) x = ((frame[at] ?? 0) & 15) * 4;
    else if (code === 0x15) pc += a === k ? jt : jf;
    else if (code === 0x45) pc += (a & k) !== 0 ? jt : jf;
    else return k;
  }
  throw new Error('ran off the end');
}

describe('captures', () => {
  const mac = '52:54:00:aa:00:01';
  const toUs = broadcastFrame(macBytes(mac), Buffer.from('hello'));
  const fromOthers = broadcastFrame(macBytes('52:54:00:aa:00:02'), Buffer.from('hello'));
  const answer = offer({ from: '192.0.2.1', mac: '52:54:00:00:00:01', chaddr: macBytes(mac) });
  const arp = Buffer.concat([
    macBytes(mac),
    macBytes('52:54:00:00:00:01'),
    Buffer.from('0806', 'hex'),
    Buffer.alloc(46),
  ]);

  it('are filtered in the kernel to DHCP answers and the machines that are captured', () => {
    const idle = frameFilter([]);
    expect([toUs, fromOthers, answer, arp].map((frame) => run(idle, frame) > 0)).toEqual([false, false, true, false]);
    const many = frameFilter([...Array.from({ length: mostCaptured - 1 }, (_, i) => `02:00:00:00:00:${i + 10}`), mac]);
    expect([toUs, fromOthers, answer, arp].map((frame) => run(many, frame) > 0)).toEqual([true, false, true, true]);
    expect(many.every(([, jt, jf]) => jt >= 0 && jf >= 0 && jt < 256 && jf < 256)).toBe(true);
    expect([toUs, fromOthers, answer, arp].map((frame) => concerns(frame, mac))).toEqual([true, false, true, true]);
  });

  it('end when nobody reads any more, and by themselves', async () => {
    const { clock, pass } = handClock();
    const world = await createWorld({ clock });
    let captured = 0;
    const wire = {
      capture() {
        captured += 1;
        return () => {
          captured -= 1;
        };
      },
    } as unknown as Wire;
    const api = createApi();
    api.get('/capture', (_request, reply) =>
      reply.send(captureBoot({ house: world, wire, macs: [mac], nodeUuid: null, seconds: 60 })),
    );
    const listener = await listen(api, { host: '127.0.0.1', port: 0 });
    onTestFinished(() => listener.close());
    const { port } = listener.address as AddressInfo;
    const url = `http://127.0.0.1:${port}/capture`;
    const gone = new AbortController();
    const reading = await fetch(url, { signal: gone.signal });
    await reading.body?.getReader().read();
    expect(captured).toBe(1);
    gone.abort();
    await expect.poll(() => captured).toBe(0);
    const whole = await fetch(url);
    await pass(60_000);
    expect(Buffer.from(await whole.arrayBuffer()).equals(pcapHeader())).toBe(true);
    expect(captured).toBe(0);
  });

  it('are a file that tcpdump reads', () => {
    const at = Date.UTC(2026, 10, 21, 4, 0, 0) + 250.5;
    const file = Buffer.concat([pcapHeader(), pcapRecord(at, answer, answer.length), pcapRecord(at, toUs, 9_000)]);
    const text = execFileSync('tcpdump', ['-nn', '-tttt', '-r', '-'], {
      input: file,
      env: { ...process.env, TZ: 'UTC' },
      stdio: ['pipe', 'pipe', 'pipe'],
    }).toString();
    expect(text).toMatch(
      /^2026-11-21 04:00:00\.250500 IP 192\.0\.2\.1\.67 > 255\.255\.255\.255\.68: BOOTP\/DHCP, Reply/,
    );
    expect(text.trim().split('\n')).toHaveLength(2);
  });
});
