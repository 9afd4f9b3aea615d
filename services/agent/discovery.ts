/**
 * Discovery: the ramdisk on a machine that no node is. It tells what the machine is made of, its BMC's address where the
 * BMC can be asked from inside, and which switch ports it hangs on; then it does as the undercloud says, which is to
 * switch the machine off. Nothing on its disks is touched.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { JsonObject } from '../ipa/index.ts';
import { reasonOf } from './failure.ts';
import type { Hardware } from './hardware.ts';
import type { neighboursOf } from './lldp.ts';
import type { UndercloudClient } from './undercloud-client.ts';

export interface DiscoveryOptions {
  readonly hardware: Hardware;
  readonly client: UndercloudClient;
  readonly url: string;
  /** How long switches are listened to. */
  readonly lldpSeconds: number;
  readonly neighbours: typeof neighboursOf;
  readonly log: (line: string) => void;
  /** Between two tries to report, in ms. */
  readonly pauseMs?: number;
  readonly attempts?: number;
}

const pause = 3_000;
const tries = 200;

/** Resolves when the machine was switched off (which real ones do not live to see). Rejects where nobody takes the report. */
export async function discover(options: DiscoveryOptions): Promise<void> {
  const { hardware, client, url, log } = options;
  const inventory = await hardware.inventory();
  const devices = inventory.interfaces.map(({ name }) => name);
  log(`nobody has enrolled this machine; listening ${options.lldpSeconds} s to the switches of ${devices.join(', ')}`);
  const heard = await options.neighbours(devices, options.lldpSeconds, log);
  const report = {
    inventory: {
      ...inventory,
      interfaces: inventory.interfaces.map((one) => ({ ...one, lldp: heard.get(one.name) ?? null })),
    } as unknown as JsonObject,
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const next = await client.inspected(url, report);
      log(`reported to ${url}; ${next === 'power off' ? 'switching off' : 'this machine stays on'}`);
      if (next === 'power off') await hardware.powerOff();
      return;
    } catch (error) {
      log(`report, attempt ${attempt}: ${reasonOf(error)}`);
      if (attempt >= (options.attempts ?? tries)) throw error;
      await delay(options.pauseMs ?? pause);
    }
  }
}
