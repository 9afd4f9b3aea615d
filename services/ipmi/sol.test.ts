// Serial over LAN: the pure machine on both ends, then a console on a session over a bad network.

import { describe, expect, it } from 'vitest';
import { createBmcSession } from './bmc.ts';
import type { SolStream } from './console.ts';
import type { IpmiError } from './errors.ts';
import { PAYLOAD } from './rmcp.ts';
import { type NetworkFaults, SimulatedNetwork } from './simulated-network.ts';
import { decodeSol, encodeSol, SOL_STATUS, SolEnd } from './sol.ts';
import { createIpmiTransport } from './transport.ts';

describe('SolEnd', () => {
  it('sends one packet at a time, in order, and cuts at the other side’s size', () => {
    const end = new SolEnd('console', 4);
    const first = end.write(Buffer.from('hello world'))!.send;
    expect(first.map((payload) => decodeSol(payload)!.data.toString())).toEqual(['hell']);
    expect(end.write(Buffer.from('!'))!.send).toEqual([]);
    const ack = (sequence: number, accepted: number) =>
      encodeSol({ sequence: 0, ack: sequence, accepted, bits: 0, data: Buffer.alloc(0) });
    const second = end.receive(ack(1, 4));
    expect(second.acked).toBe(true);
    expect(second.send.map((payload) => decodeSol(payload)!.data.toString())).toEqual(['o wo']);
    // Two of four were taken: the rest goes again under a new number.
    const third = end.receive(ack(2, 2)).send.map((payload) => decodeSol(payload)!);
    expect(third).toMatchObject([{ sequence: 3, data: Buffer.from('worl') }]);
    expect(end.pending).toBe(6);
  });

  it('acknowledges each packet and gives its characters once', () => {
    const end = new SolEnd('console', 100);
    const packet = encodeSol({ sequence: 5, ack: 0, accepted: 0, bits: 0, data: Buffer.from('boot: ') });
    expect(end.receive(packet).data?.toString()).toBe('boot: ');
    const again = end.receive(packet);
    expect(again.data).toBeUndefined();
    expect(decodeSol(again.send[0]!)).toMatchObject({ sequence: 0, ack: 5, accepted: 6 });
  });

  it('knows the two meanings of one bit', () => {
    const bytes = encodeSol({ sequence: 1, ack: 0, accepted: 0, bits: SOL_STATUS.deactivated, data: Buffer.alloc(0) });
    expect(new SolEnd('console', 10).receive(bytes)).toMatchObject({ ended: true });
    expect(new SolEnd('bmc', 10).receive(bytes)).toMatchObject({ broke: true });
  });

  it('refuses to hold more than its bound', () => {
    const end = new SolEnd('console', 10, 100);
    expect(end.write(Buffer.alloc(100))).toBeDefined();
    expect(end.write(Buffer.alloc(100))).toBeUndefined();
  });
});

/** A machine whose serial port repeats what is typed, in capitals. */
function echoing(faults: NetworkFaults, seed: number) {
  const net = new SimulatedNetwork(seed, faults);
  const ends = new Map<number, SolEnd>();
  const peers = new Map<number, string>();
  let sessionId = 0;
  const push = (id: number, payloads: Buffer[]) => {
    for (const payload of payloads) {
      const sealed = bmc.sealPayload(id, PAYLOAD.sol, payload);
      if (sealed) net.send(sealed, '10.0.0.2 623', peers.get(id)!);
    }
  };
  const bmc = createBmcSession({
    guid: Buffer.alloc(16, 1),
    users: () => [{ name: 'admin', password: 'secret', privilege: 'administrator' }],
    random: net.bytes,
    handle(netfn, cmd, _data, _privilege, session) {
      if (netfn !== 6 || (cmd !== 0x48 && cmd !== 0x49)) return { completionCode: netfn === 6 ? 0 : 0xc1 };
      if (cmd === 0x49) return { completionCode: ends.delete(session.id) ? 0 : 0x80 };
      if (ends.size) return { completionCode: 0x80 };
      sessionId = session.id;
      peers.set(session.id, session.peer);
      ends.set(session.id, new SolEnd('bmc', 80));
      return { completionCode: 0, data: Buffer.from('00000000' + '5400' + '5400' + '6f02' + 'ffff', 'hex') };
    },
    onPayload(session, type, payload) {
      const end = ends.get(session.id);
      if (!end || type !== PAYLOAD.sol) return;
      const steps = end.receive(payload);
      push(session.id, steps.send);
      if (steps.data) push(session.id, end.write(Buffer.from(steps.data.toString().toUpperCase()))?.send ?? []);
      // The machine's own retransmission, as a BMC's timer would do.
      const again = () => {
        const payload = end.again();
        if (payload && ends.get(session.id) === end) push(session.id, [payload]);
        if (end.pending) net.timers.set(again, 300);
      };
      if (end.pending) net.timers.set(again, 300);
    },
  });
  net.bmc('10.0.0.2', bmc);
  const transport = createIpmiTransport({ socket: net.socket(), timers: net.timers, random: net.bytes });
  const session = () => transport.session({ host: '10.0.0.2', user: 'admin', password: 'secret', keepAlive: 0 });
  return { net, session, bmc, current: () => sessionId, push };
}

describe('console', () => {
  it.each([1, 2, 3, 4])('carries every character once and in order over a bad network (seed %i)', async (seed) => {
    const { net, session } = echoing({ loss: 0.15, duplicate: 0.15, reorder: 0.2 }, seed);
    const text = Array.from({ length: 60 }, (_, i) => `line ${i} of the console\n`).join('');
    let heard = '';
    let stream: SolStream | undefined;
    await net.run(
      new Promise<void>((resolve, reject) => {
        session()
          .sol(
            {
              onData: (data) => {
                heard += data.toString();
                if (heard.length >= text.length) resolve();
              },
              onClose: (reason) => reason && reject(reason),
            },
            { deadline: 60_000 },
          )
          .then((opened) => {
            stream = opened;
            expect(opened.write(text)).toBe(true);
          }, reject);
      }),
    );
    expect(heard).toBe(text.toUpperCase());
    await net.run(stream!.close());
  });

  it('says who else has the console, and takes it when told to', async () => {
    const { net, session } = echoing({}, 9);
    const first = await net.run(session().sol({ onData: () => undefined }));
    const busy = await net.run(session().sol({ onData: () => undefined })).catch((error: IpmiError) => error);
    expect(busy).toMatchObject({ code: 'completion-code', completionCode: 0x80 });
    expect((busy as IpmiError).message).toContain('in use by another session');
    await net.run(first.close());
    await net.run(session().sol({ onData: () => undefined }));
  });

  it('tells its owner when the BMC ends it', async () => {
    const { net, session, current, push } = echoing({}, 9);
    let reason: IpmiError | undefined;
    const stream = await net.run(
      session().sol({
        onData: () => undefined,
        onClose: (why) => {
          reason = why;
        },
      }),
    );
    push(current(), [
      encodeSol({ sequence: 1, ack: 0, accepted: 0, bits: SOL_STATUS.deactivated, data: Buffer.alloc(0) }),
    ]);
    await net.pass(10);
    expect(reason).toMatchObject({ code: 'closed' });
    expect(stream.write('x')).toBe(false);
  });
});
