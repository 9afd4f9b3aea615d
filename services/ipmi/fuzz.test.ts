// Hostile bytes: mutated captures and mutated live traffic, from a seed. Nothing may throw, and nothing untrue may be believed.

import { describe, expect, it } from 'vitest';
import { createBmcSession } from './bmc.ts';
import { IpmiError } from './errors.ts';
import { capturedPackets, decodeEverything, mutate } from './mutated.fixture.ts';
import { SimulatedNetwork, seeded } from './simulated-network.ts';
import { createIpmiTransport } from './transport.ts';

const captured = capturedPackets();
const GUID = Buffer.alloc(16, 7);

describe('mutated packets', () => {
  it('never make a decoder throw (10,000 captures, seed 3)', () => {
    const random = seeded(3);
    for (let i = 0; i < 10_000; i++) decodeEverything(mutate(captured[i % captured.length]!, random), i);
  });

  it('never make a BMC throw, answer a command, or open a session (10,000 captures, seed 4)', () => {
    const random = seeded(4);
    const net = new SimulatedNetwork(4);
    let carriedOut = 0;
    const bmc = createBmcSession({
      guid: GUID,
      users: () => [{ name: 'admin', password: 'secret', privilege: 'administrator' }],
      suites: [1, 2, 3, 17],
      random: net.bytes,
      handle: () => {
        carriedOut++;
        return { completionCode: 0 };
      },
    });
    let answers = 0;
    for (let i = 0; i < 10_000; i++)
      bmc.receive(mutate(captured[i % captured.length]!, random), 'stranger', () => answers++);
    expect(answers).toBeGreaterThan(100);
    expect(carriedOut).toBe(0);
    expect(bmc.sessions).toEqual([]);
  });

  it.each([3, 17])('on a live wire end in truth or in an error (suite %i, over 10,000 mutations)', async (suite) => {
    const net = new SimulatedNetwork(suite);
    let power = 0;
    const bmc = createBmcSession({
      guid: GUID,
      users: () => [{ name: 'admin', password: 'secret', privilege: 'administrator' }],
      suites: [suite],
      maxSessions: 64,
      random: net.bytes,
      handle: (_netfn, cmd, data) => {
        if (cmd === 2) power = data[0]!;
        return { completionCode: 0, data: cmd === 1 ? Uint8Array.of(power, 0, 0) : new Uint8Array(0) };
      },
    });
    net.bmc('10.0.0.2', bmc);
    const transport = createIpmiTransport({ socket: net.socket(), timers: net.timers, random: net.bytes });
    const session = transport.session({
      host: '10.0.0.2',
      user: 'admin',
      password: 'secret',
      suites: [suite],
      keepAlive: 0,
    });
    let mutations = 0;
    // Beside each true datagram of an open session travel forged ones made from it; one in ten true ones is broken as well.
    net.tap = (datagram, from, to) => {
      for (let i = 0; i < 3; i++) {
        mutations++;
        const forged = mutate(datagram, net.random);
        if (!forged.equals(datagram) && !onlyHeaderDiffers(forged, datagram)) deliver(forged, from, to);
      }
      return net.random() < 0.1 ? mutate(datagram, net.random) : datagram;
    };
    const deliver = (datagram: Buffer, from: string, to: string) => {
      const { tap } = net;
      net.tap = undefined;
      net.send(datagram, from, to);
      net.tap = tap;
    };
    let told = 0;
    let refused = 0;
    for (let i = 0; mutations < 10_000; i++) {
      const wanted = i & 1;
      const outcome = await net
        .run(
          session
            .power(wanted ? 'on' : 'off', { deadline: 20_000 })
            .then(() => session.chassisStatus({ deadline: 20_000 })),
        )
        .catch((error: unknown) => error);
      if (outcome instanceof IpmiError) {
        refused++;
        continue;
      }
      told++;
      expect(outcome).toMatchObject({ power: wanted ? 'on' : 'off' });
      expect(power).toBe(wanted);
    }
    expect(told).toBeGreaterThan(refused);
    net.tap = undefined;
    await net.run(transport.close());
  });
});

/** RMCP's reserved and sequence bytes are outside every proof: a packet that differs only there is the packet itself. */
function onlyHeaderDiffers(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && a[0] === b[0] && a.subarray(3).equals(b.subarray(3));
}
