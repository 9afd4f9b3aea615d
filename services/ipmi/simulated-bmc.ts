// A BMC with a machine behind it and a console before it, on a simulated network: the stage of the session tests.

import { inspect } from 'node:util';
import { type BmcOptions, type BmcReply, createBmcSession } from './bmc.ts';
import { IpmiError } from './errors.ts';
import type { Exchange } from './requests.ts';
import { type NetworkFaults, SimulatedNetwork } from './simulated-network.ts';
import { createIpmiTransport, type SessionOptions } from './transport.ts';

export const GUID = Buffer.from('4c4c4544000040008000000000000003', 'hex');
export const SECRET = 'a secret of 20 bytes';

export interface Machine {
  on: boolean;
  /** Every command carried out, `netfn:cmd:data`. */
  done: string[];
  answer?: (netfn: number, cmd: number, data: Buffer) => BmcReply | Promise<BmcReply> | undefined;
}

export function machine(): Machine {
  return { on: false, done: [] };
}

export function bmcOf(net: SimulatedNetwork, its: Machine, options: Partial<BmcOptions> = {}) {
  return createBmcSession({
    guid: GUID,
    users: () => [
      { name: 'admin', password: SECRET, privilege: 'administrator' },
      { name: 'watcher', password: 'look', privilege: 'user' },
    ],
    random: net.bytes,
    handle(netfn, cmd, data, privilege) {
      its.done.push(`${netfn}:${cmd}:${data.toString('hex')}`);
      const special = its.answer?.(netfn, cmd, data);
      if (special) return special;
      if (netfn === 0 && cmd === 1) return { completionCode: 0, data: Uint8Array.of(its.on ? 0x01 : 0x00, 0, 0) };
      if (netfn === 0 && cmd === 2) {
        if (privilege < 3) return { completionCode: 0xd4 };
        its.on = data[0] !== 0;
        return { completionCode: 0 };
      }
      if (netfn === 6 && cmd === 1)
        return { completionCode: 0, data: Buffer.from('200101029f029f911200020f', 'hex').subarray(1) };
      return { completionCode: 0xc1 };
    },
    ...options,
  });
}

/** Console at 10.0.0.1, BMC at 10.0.0.2; `tap` and `faults` of `net` do the harm. */
export function world(options: { seed?: number; faults?: NetworkFaults; bmc?: Partial<BmcOptions> } = {}) {
  const net = new SimulatedNetwork(options.seed ?? 1, options.faults);
  const its = machine();
  const bmc = bmcOf(net, its, options.bmc);
  net.bmc('10.0.0.2', bmc);
  const rows: Exchange[] = [];
  const transport = createIpmiTransport({
    socket: net.socket(),
    timers: net.timers,
    random: net.bytes,
    onExchange: (row) => rows.push(row),
  });
  const session = (more: Partial<SessionOptions> = {}) =>
    transport.session({ host: '10.0.0.2', user: 'admin', password: SECRET, keepAlive: 0, ...more });
  return { net, its, bmc, rows, transport, session };
}

/** The IpmiError that `work` must end in. */
export async function failure(work: Promise<unknown>): Promise<IpmiError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof IpmiError) return error;
  throw new Error(`expected an IpmiError, got ${inspect(error)}`);
}
