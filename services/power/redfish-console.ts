/**
 * The serial console of a Redfish machine. Redfish has none of its own: it names ways to one. Where IPMI is among them, serial over LAN
 * of the same BMC is opened with the same user; the others (SSH, a vendor's WebSocket) end at a prompt of the vendor's, not at the machine.
 */
import { fault } from '../core/errors/index.ts';
import { originOf, type SerialConsoleWay } from '../redfish/index.ts';
import type { BmcAccess } from './bmc.ts';
import type { ConsoleOpener } from './capabilities.ts';

const ipmiPort = 623;

export interface RedfishConsoleRoom {
  readonly access: BmcAccess;
  /** What the service says of its serial console. */
  ways(signal: AbortSignal | undefined): Promise<readonly SerialConsoleWay[]>;
  /** A console over IPMI; nothing is sent before it is opened. */
  ipmi(access: BmcAccess): ConsoleOpener;
}

const shown = ({ type, enabled }: SerialConsoleWay): string => (enabled === false ? `${type} (switched off)` : type);

export const redfishConsole = ({ access, ways, ipmi }: RedfishConsoleRoom): ConsoleOpener => ({
  async open(options, signal) {
    const found = await ways(signal);
    const way = found.find(({ type, enabled }) => type === 'IPMI' && enabled !== false);
    const { hostname } = originOf(access.address);
    if (!way)
      throw fault('bmc-console-none', {
        ...{ bmc: hostname, node: access.name ?? access.key },
        ways: found.length > 0 ? `it names ${found.map(shown).join(', ')}` : 'it names none at all',
      });
    // An IPv6 address stands in brackets in a URL, and without them in front of a socket.
    const address = hostname.replace(/^\[(.*)\]$/, '$1');
    return ipmi({ ...access, driver: 'ipmi', address, port: way.port ?? ipmiPort, options: {} }).open(options, signal);
  },
});
