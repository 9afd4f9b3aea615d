/**
 * The program in the deploy ramdisk: `node services/agent/main.ts`, started by its init once the network is up. Only this file reads the
 * kernel's command line. Exit code 0: left as told. 1: nobody wanted this machine; the reason is on the console, and init resets it.
 */
import { readFile } from 'node:fs/promises';
import { createAgent } from './agent.ts';
import { setClockForwards } from './clock.ts';
import { discover } from './discovery.ts';
import { reasonOf } from './failure.ts';
import { readKernelArguments } from './kernel-arguments.ts';
import { createLinuxHardware } from './linux.ts';
import { neighboursOf } from './lldp.ts';
import { createUndercloudClient } from './undercloud-client.ts';

const CA_FILE = '/etc/undercloud/ca.pem';
/** Beside the CA and from the same archive: as true as it is. */
const IMAGE_KEY_FILE = '/etc/undercloud/signing.pem';
/** Beside the agent's own 9999. */
const NEIGHBOUR_PORT = 9998;

function log(line: string) {
  console.log(`agent: ${line}`);
}

async function main(): Promise<number> {
  const given = readKernelArguments(await readFile('/proc/cmdline', 'utf8'));
  const skew = given.time === undefined ? undefined : await setClockForwards(given.time, log);
  const ca = await readFile(CA_FILE, 'utf8').catch(() => undefined);
  if (given.apiUrls.length === 0 && given.inspectionUrl !== undefined) {
    const client = createUndercloudClient({ urls: [], bootToken: given.bootToken, ca, insecure: given.insecure });
    const { inspectionUrl: url, lldpSeconds } = given;
    await discover({ hardware: createLinuxHardware(), client, url, lldpSeconds, neighbours: neighboursOf, log });
    return 0;
  }
  const agent = createAgent({
    hardware: createLinuxHardware(),
    apiUrls: given.apiUrls,
    bootToken: given.bootToken,
    agentToken: given.agentToken,
    nodeUuid: given.nodeUuid,
    inspectionUrl: given.inspectionUrl,
    ca,
    imageKey: await readFile(IMAGE_KEY_FILE, 'utf8').catch(() => undefined),
    insecure: given.insecure,
    listenPort: given.listenPort,
    neighbourPort: NEIGHBOUR_PORT,
    advertiseHost: given.advertiseHost,
    advertisePort: given.advertisePort,
    clockSkewSeconds: skew,
    timing: { lookupTimeoutMs: given.lookupTimeout * 1000, lookupIntervalMs: given.lookupInterval * 1000 },
    log,
  });
  await agent.start();
  await agent.left;
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    log(`ends: ${reasonOf(error)}`);
    process.exit(1);
  },
);
