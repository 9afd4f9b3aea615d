/** What the lab asks of the kernel, tried in a namespace of its own that is gone with the trying process. */
import { existsSync } from 'node:fs';
import { command } from './command.ts';
import { type Check, ill, well } from './diagnosis.ts';

interface Trial {
  name: string;
  /** After `unshare --net`. */
  script: string;
  found: string;
  finding: string;
  remedy: string;
}

const trials: readonly Trial[] = [
  {
    name: 'network namespaces',
    script: 'ip link set lo up',
    found: 'this process may make them',
    finding: 'no network namespace can be made',
    remedy:
      'In a container, run it privileged (CAP_SYS_ADMIN and CAP_NET_ADMIN); else use a kernel with CONFIG_NET_NS.',
  },
  {
    name: 'bridges',
    script: 'ip link add name b type bridge',
    found: 'the kernel has them',
    finding: 'no bridge can be made',
    remedy: '`modprobe bridge`, on the host where this is a container.',
  },
  {
    name: 'tap devices',
    script: 'ip tuntap add dev t mode tap',
    found: 'the kernel has them',
    finding: 'no tap device can be made',
    remedy: '`modprobe tun`; a container needs the device /dev/net/tun as well.',
  },
];

export const kernelChecks: readonly Check[] = trials.map(({ name, script, found, finding, remedy }) => ({
  name,
  when: ({ lab }) => lab === true,
  async run() {
    if (!existsSync('/usr/sbin/ip') && !existsSync('/sbin/ip'))
      return ill('could not be tried: the program `ip` is missing', '`undercloud bootstrap` installs it.', false);
    try {
      await command('unshare', ['--net', 'sh', '-ec', script]);
      return well(found);
    } catch (error) {
      const said = (error as Error).message.split('\n').at(-1);
      return ill(`${finding} (${said})`, remedy);
    }
  },
}));
