/** What may be wrong with an interface that nodes boot from. */
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type NetworkReport, plainIpv6 } from '../services/boot/index.ts';
import { type Check, type DoctorOptions, ill, well } from './diagnosis.ts';

/** One listening for both checks that ask about it. */
const heard = new WeakMap<DoctorOptions, Promise<NetworkReport>>();

function listen(options: DoctorOptions): Promise<NetworkReport> {
  const { provisioningInterface = '', probeNetwork } = options;
  const known = heard.get(options) ?? probeNetwork?.(provisioningInterface) ?? Promise.reject(new Error('no probe'));
  heard.set(options, known);
  return known;
}

const isThere = (device: string): boolean => existsSync(`/sys/class/net/${device}`);
const operstate = (device: string): string => readFileSync(`/sys/class/net/${device}/operstate`, 'utf8').trim();

/** Not in the lab, whose network is made by us; and there is nothing to hear on an interface that is away or down. */
const isWired = ({ provisioningInterface: device, lab, probeNetwork }: DoctorOptions): boolean =>
  !lab && device !== undefined && probeNetwork !== undefined && isThere(device) && operstate(device) !== 'down';

export const provisioningChecks: readonly Check[] = [
  {
    name: 'provisioning interface',
    when: ({ provisioningInterface, lab }) => !lab && provisioningInterface !== undefined,
    async run({ provisioningInterface: device = '', provisioningAddress }) {
      if (!isThere(device)) return ill(`there is no interface ${device}`, 'See `ip link`; name one that is there.');
      if (operstate(device) === 'down') return ill(`${device} is down`, `Bring it up: \`ip link set ${device} up\`.`);
      const addresses = (networkInterfaces()[device] ?? []).filter((one) => one.family === 'IPv4');
      const wanted = provisioningAddress?.split('/')[0];
      const own = addresses.find((one) => wanted === undefined || one.address === wanted);
      if (own) return well(`${device} is ${operstate(device)} and has ${own.cidr}`);
      return ill(
        wanted ? `${device} does not have the address ${wanted}` : `${device} has no IPv4 address`,
        `Give it one: \`ip address add ${provisioningAddress ?? '192.0.2.1/24'} dev ${device}\`, and in the system’s network configuration.`,
      );
    },
  },
  {
    name: 'foreign DHCP server',
    when: isWired,
    async run(options) {
      const { provisioningInterface: device, wire = {} } = options;
      const heard = (await listen(options)).dhcpServers;
      const found = heard.filter(({ source, bootFile }) => {
        if (wire.knownServers?.includes(source)) return false;
        // Beside a server that gives addresses we mean to stand; one that gives boot files too would boot our machines.
        return wire.dhcp !== 'proxy' || bootFile !== null;
      });
      if (heard.length === 0 && wire.dhcp === 'proxy')
        return ill(
          `nobody gives addresses on ${device}, and with DHCP mode proxy we do not either`,
          'Start the DHCP server of that network, or let us give addresses: `--dhcp reservations-only` or `server`.',
          false,
        );
      const beside = heard.map(({ source }) => source).join(' and ');
      if (heard.length > 0 && found.length === 0)
        return well(`${beside} answers DHCP on ${device}, beside whom we are meant to stand`);
      if (found.length === 0) return well(`nobody else answers on ${device}`);
      const who = found.map((one) => `${one.source}${one.mac ? ` (${one.mac})` : ''}, which offered ${one.offered},`);
      return ill(
        `${who.join(' and ')} answers DHCP on ${device}`,
        'Stop that server, or put the nodes on a network of their own.',
      );
    },
  },
  {
    name: 'IPv6 routers',
    when: isWired,
    async run(options) {
      const { provisioningInterface: device = '' } = options;
      const { routers } = await listen(options);
      if (routers === null)
        return ill(
          'this kernel has IPv6 switched off',
          'Every iPXE stage then waits 16 s for a router that nobody can be: boot the kernel without ipv6.disable=1.',
          false,
        );
      const addresses = (networkInterfaces()[device] ?? []).filter((one) => one.family === 'IPv6');
      const own = new Set(addresses.map((one) => plainIpv6(one.address)));
      const others = routers.filter((router) => !own.has(plainIpv6(router)));
      if (others.length === 0) return well(`nobody else advertises itself on ${device}`);
      return ill(
        `${others.join(' and ')} advertises itself as a router on ${device}`,
        'Nodes get IPv6 addresses and a way out from it. Where that is not meant, stop it there (radvd, the switch).',
        false,
      );
    },
  },
  {
    name: 'router advertisement',
    when: ({ hearsItself }) => hearsItself !== undefined,
    async run({ hearsItself, provisioningInterface }) {
      const found = await hearsItself?.(provisioningInterface);
      if (found === 'heard') return well('iPXE’s router solicitations are answered: no stage of a boot waits for IPv6');
      if (found === 'no-carrier') return well('nothing is connected and switched on there now, so nobody asks');
      return found === 'no-ipv6'
        ? ill(
            'the provisioning interface has IPv6 switched off',
            'Every iPXE stage then waits 16 s: let the interface have its link-local address (sysctl net.ipv6.conf.IF.disable_ipv6=0).',
            false,
          )
        : ill(
            'no router advertisement of this undercloud is heard where its nodes boot',
            'Every iPXE stage then waits 16 s: start it anew (`undercloud stop`, `undercloud start`), and see that no firewall drops ICMPv6.',
            false,
          );
    },
  },
];

/** The options as each interface sees them. */
export const eachInterface = ({ furtherInterfaces = [], ...options }: DoctorOptions): readonly DoctorOptions[] => {
  const { provisioningAddress: _first, ...others } = options;
  const further = furtherInterfaces.map(({ interface: device, address }) => ({
    ...others,
    provisioningInterface: device,
    ...(address !== undefined && { provisioningAddress: address }),
  }));
  return [options, ...further];
};
