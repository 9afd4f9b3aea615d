/** Which addresses a port gets: what it wishes, or one of each IP version of its network. */
import type { Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { formatBlock, formatIp, holds, hostsOf, parseBlock, parseIp } from './cidr.ts';
import type { FixedIpWish, SubnetRecord } from './model.ts';
import { invalid } from './scope.ts';
import { holderOf, poolSize, takeAddress, takeThisAddress } from './store/addresses.ts';

export interface Allotment {
  readonly networkId: string;
  /** All of the network's, oldest first. */
  readonly subnets: readonly SubnetRecord[];
}

/** One address to be given: a certain one, or the next of the first of these subnets that has any. */
export interface Wish {
  readonly from: readonly SubnetRecord[];
  readonly ipAddress: string | null;
}

const mostAddresses = 5;

/** Where hosts make their addresses themselves there is nothing to give out. */
const isGiven = (subnet: SubnetRecord) => subnet.ipVersion === 4 || subnet.ipv6AddressMode !== 'slaac';

/** @throws Fault `network-invalid`, `subnet-not-found` for a wish that cannot be granted on this network */
export function planOf({ networkId, subnets }: Allotment, wishes: readonly FixedIpWish[] | undefined): Wish[] {
  if (wishes === undefined) {
    const versions = [4, 6].map((version) => subnets.filter((one) => one.ipVersion === version && isGiven(one)));
    return versions.filter((from) => from.length > 0).map((from) => ({ from, ipAddress: null }));
  }
  if (wishes.length > mostAddresses)
    throw invalid('fixed_ips', `${wishes.length} addresses; a port has at most ${mostAddresses}`);
  return wishes.map(({ subnetId, ipAddress }) => {
    const named = subnetId === undefined ? subnets : subnets.filter((one) => one.id === subnetId);
    if (subnetId !== undefined && named.length === 0)
      throw invalid('fixed_ips', `subnet ${subnetId} is not on network ${networkId}`);
    if (ipAddress === undefined) return { from: named, ipAddress: null };
    const address = parseIp(ipAddress);
    if (!address) throw invalid('fixed_ips', `“${ipAddress}” is no IP address`);
    const home = named.find((one) => {
      const block = parseBlock(one.cidr);
      return block !== null && holds(block, address);
    });
    const block = home && parseBlock(home.cidr);
    if (!block)
      throw invalid('fixed_ips', `IP address ${ipAddress} is not a valid IP for any of the subnets on the network`);
    const hosts = hostsOf(block);
    if (address.value < hosts.first || address.value > hosts.last)
      throw invalid('fixed_ips', `${ipAddress} is the network or broadcast address of ${formatBlock(block)}`);
    return { from: [home], ipAddress: formatIp(address) };
  });
}

/** Gives them, in order. @throws Fault `address-in-use`, `pool-exhausted` */
export async function allot(
  tx: Tx,
  { networkId }: Allotment,
  plan: readonly Wish[],
  portId: string,
  firstPosition = 0,
): Promise<void> {
  for (const [i, wish] of plan.entries()) {
    const position = firstPosition + i;
    const home = wish.from[0];
    if (wish.ipAddress !== null && home) {
      if (await takeThisAddress(tx.kysely, home.id, wish.ipAddress, portId, position)) continue;
      const port = (await holderOf(tx.kysely, home.id, wish.ipAddress)) ?? 'that is being made';
      throw fault('address-in-use', { address: wish.ipAddress, subnet: home.id, port });
    }
    let given: string | null = null;
    for (const subnet of wish.from) {
      given = await takeAddress(tx.kysely, subnet.id, portId, position);
      if (given !== null) break;
    }
    if (given === null)
      throw fault('pool-exhausted', { network: networkId, size: await poolSize(tx.kysely, networkId) });
  }
}
