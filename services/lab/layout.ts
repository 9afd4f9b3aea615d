import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/**
 * Where everything of a lab lies and what it is called. All names follow from the state directory's path, so two labs stand side by side
 * and a second `lab up` on the same path finds what the first one made.
 */

/** The interface inside the lab's namespace on which an undercloud answers DHCP, TFTP and HTTP. */
export const provisioningInterface = 'br0';

/** Addresses inside the lab's namespace. The networks are documentation and link-local ranges: nothing outside ever routes them. */
export const labAddresses = {
  /** The undercloud on the provisioning link (RFC 5737, TEST-NET-1). */
  undercloud: '192.0.2.1',
  prefixLength: 24,
  /** The metadata service, which nodes reach by the route of DHCP option 121. */
  metadata: '169.254.169.254',
  /** BMC of node N is `127.1.0.N`: loopback, so that the management network can never be confused with the provisioning link. */
  bmc: (index: number): string => `127.1.0.${index}`,
  bmcPort: 623,
} as const;

/** One ipmi_sim process holds one management controller per node at the even IPMB addresses 0x20 to 0xfe: 112 of them. */
export const mostNodes = 112;

/** The files and sockets of one node. Sockets and pid files lie under /run because a unix socket's path may have 107 bytes at most. */
export interface NodeLayout {
  directory: string;
  disk: string;
  firmwareVariables: string;
  consoleLog: string;
  qemuLog: string;
  bootOrder: string;
  /** What a virtual BMC of ours keeps: persistent boot flags, faults. */
  bmc: string;
  qmp: string;
  serial: string;
  console: string;
  pidFile: string;
  chassis: string;
}

export interface LabLayout {
  /** First 8 hex digits of the SHA-256 of the absolute state path. */
  id: string;
  netns: string;
  netnsFile: string;
  directory: string;
  description: string;
  instackenv: string;
  acceleration: string;
  log: string;
  run: string;
  control: string;
  hook: string;
  ownerRecord: string;
  bmcRecord: string;
  bmcConfig: string;
  bmcEmulation: string;
  bmcState: string;
  bmcLog: string;
  node: (name: string) => NodeLayout;
}

/** Directory of all labs' sockets and pid files; removed with the last lab. */
export const runRoot = '/run/undercloud-lab';

/** Names and paths of the lab that belongs to `stateDir` (absolute or relative to the working directory). Touches nothing. */
export function labLayout(stateDir: string): LabLayout {
  const directory = join(resolve(stateDir), 'lab');
  const id = createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 8);
  const run = join(runRoot, id);
  const netns = `uc-${id}`;
  return {
    id,
    netns,
    netnsFile: `/run/netns/${netns}`,
    directory,
    description: join(directory, 'lab.json'),
    instackenv: join(directory, 'instackenv.json'),
    acceleration: join(directory, 'acceleration.json'),
    log: join(directory, 'machines.log'),
    run,
    control: join(run, 'control.sock'),
    hook: join(run, 'chassis'),
    ownerRecord: join(run, 'machines.json'),
    bmcRecord: join(run, 'bmc.json'),
    bmcConfig: join(run, 'lan.conf'),
    bmcEmulation: join(run, 'bmc.emu'),
    bmcState: join(run, 'bmc-state'),
    bmcLog: join(directory, 'bmc.log'),
    node: (name) => {
      const own = join(directory, 'nodes', name);
      return {
        directory: own,
        disk: join(own, 'disk.img'),
        firmwareVariables: join(own, 'vars.fd'),
        consoleLog: join(own, 'console.log'),
        qemuLog: join(own, 'qemu.log'),
        bootOrder: join(own, 'boot.json'),
        bmc: join(own, 'bmc.json'),
        qmp: join(run, `${name}.qmp`),
        serial: join(run, `${name}.serial`),
        console: join(run, `${name}.console`),
        pidFile: join(run, `${name}.json`),
        chassis: join(run, `${name}.chassis`),
      };
    },
  };
}

/** The network namespace of the lab that belongs to `stateDir`: `uc-<8 hex digits>`, and its file for `setns` or `nsenter --net=`. */
export function labNetns(stateDir: string): { name: string; file: string } {
  const { netns, netnsFile } = labLayout(stateDir);
  return { name: netns, file: netnsFile };
}
