import type { Context } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import {
  type Block,
  defaultPools,
  formatBlock,
  formatIp,
  holds,
  hostsOf,
  overlap,
  parseBlock,
  parseIp,
} from './cidr.ts';
import type { AddressRange, HostRoute, ListFilters, SubnetChanges, SubnetFields, SubnetRecord } from './model.ts';
import { confinedTo, inside, invalid, projectFor, requireOwner, theOne } from './scope.ts';
import { replacePools, subnetUsers } from './store/addresses.ts';
import { lockNetwork, networksNamed } from './store/networks.ts';
import * as store from './store/subnets.ts';

const mostNameservers = 5;
const mostHostRoutes = 20;

export function createSubnets(db: Database) {
  const find = async (context: Context, idOrName: string, tx?: Tx) =>
    theOne(await store.subnetsNamed(tx?.kysely ?? db.kysely, idOrName, confinedTo(context)), 'subnet', idOrName);

  return {
    find,
    list: (context: Context, filters: ListFilters = {}) => store.listSubnets(db.kysely, filters, confinedTo(context)),

    async create(context: Context, fields: SubnetFields, tx?: Tx): Promise<SubnetRecord> {
      const block = blockOf(fields);
      const gatewayIp = gatewayOf(fields.gatewayIp, block);
      const gateway = gatewayIp === null ? null : (parseIp(gatewayIp)?.value ?? null);
      const pools = fields.allocationPools ?? defaultPools(block, gateway);
      checkPools(pools, block, gateway);
      checkHints(fields, block.version);
      const id = await inside(db, tx, async (inner) => {
        const network = theOne(
          await networksNamed(inner.kysely, fields.networkId, confinedTo(context)),
          'network',
          fields.networkId,
        );
        requireOwner(context, network, 'create_subnet');
        await lockNetwork(inner.kysely, network.id, 'row');
        for (const other of await store.listSubnets(inner.kysely, { network_id: network.id }, undefined)) {
          const theirs = parseBlock(other.cidr);
          if (theirs && overlap(theirs, block))
            throw invalid(
              'cidr',
              `${formatBlock(block)} overlaps with subnet ${other.id} (${other.cidr}) of network ${network.id}`,
            );
        }
        const made = await store.insertSubnet(inner.kysely, {
          networkId: network.id,
          name: fields.name ?? '',
          projectId: projectFor(context, fields.projectId),
          description: fields.description ?? '',
          cidr: formatBlock(block),
          gatewayIp,
          enableDhcp: fields.enableDhcp ?? true,
          dnsNameservers: fields.dnsNameservers ?? [],
          hostRoutes: fields.hostRoutes ?? [],
          ipv6AddressMode: fields.ipv6AddressMode ?? null,
          ipv6RaMode: fields.ipv6RaMode ?? null,
        });
        await replacePools(inner.kysely, made, pools);
        return made;
      });
      return find(context, id, tx);
    },

    async update(
      context: Context,
      id: string,
      changes: SubnetChanges & { readonly tags?: readonly string[] },
      tx?: Tx,
    ): Promise<SubnetRecord> {
      const before = await find(context, id, tx);
      requireOwner(context, before, 'update_subnet');
      const block = blockOf(before);
      const { allocationPools, ...rest } = changes;
      const gatewayIp = changes.gatewayIp === undefined ? before.gatewayIp : gatewayOf(changes.gatewayIp, block);
      const pools = allocationPools ?? before.allocationPools;
      checkPools(pools, block, gatewayIp === null ? null : (parseIp(gatewayIp)?.value ?? null));
      checkHints(changes, block.version);
      await inside(db, tx, async (inner) => {
        await store.updateSubnet(inner.kysely, { ...before, ...rest, gatewayIp });
        if (allocationPools && JSON.stringify(allocationPools) !== JSON.stringify(before.allocationPools))
          await replacePools(inner.kysely, before.id, allocationPools);
      });
      return find(context, before.id, tx);
    },

    async remove(context: Context, id: string, tx?: Tx): Promise<void> {
      const subnet = await find(context, id, tx);
      requireOwner(context, subnet, 'delete_subnet');
      await inside(db, tx, async (inner) => {
        await store.lockSubnet(inner.kysely, subnet.id);
        const users = await subnetUsers(inner.kysely, subnet.id);
        if (users.count > 0) throw fault('subnet-in-use', { id: subnet.id, ...users });
        await store.deleteSubnet(inner.kysely, subnet.id);
      });
    },
  };
}

function blockOf(fields: { readonly cidr: string; readonly ipVersion?: 4 | 6 }): Block {
  const block = parseBlock(fields.cidr);
  if (!block) throw invalid('cidr', `“${fields.cidr}” is no network; write it as 192.0.2.0/24`);
  if (fields.ipVersion !== undefined && fields.ipVersion !== block.version)
    throw invalid('cidr', `“${fields.cidr}” is not IPv${fields.ipVersion}`);
  if (block.version === 4 && block.prefix === 0) throw invalid('cidr', '0.0.0.0/0 is everything, not a subnet');
  return block;
}

/** undefined asks for the first host, as Neutron does. A gateway outside the subnet is allowed (on-link routes). */
function gatewayOf(wanted: string | null | undefined, block: Block): string | null {
  if (wanted === null) return null;
  if (wanted === undefined) return formatIp({ version: block.version, value: hostsOf(block).first });
  const address = parseIp(wanted);
  if (address?.version !== block.version) throw invalid('gateway_ip', `“${wanted}” is no IPv${block.version} address`);
  const isHost = address.value >= hostsOf(block).first && address.value <= hostsOf(block).last;
  if (holds(block, address) && !isHost)
    throw invalid('gateway_ip', `${wanted} is the network or broadcast address of ${formatBlock(block)}`);
  return formatIp(address);
}

function checkPools(pools: readonly AddressRange[], block: Block, gateway: bigint | null): void {
  const { first, last } = hostsOf(block);
  const ranges = pools.map(({ start, end }) => {
    const from = parseIp(start);
    const to = parseIp(end);
    const text = `${start}-${end}`;
    if (!from || !to || from.version !== block.version || to.version !== block.version)
      throw invalid('allocation_pools', `${text} is no range of IPv${block.version} addresses`);
    if (from.value > to.value) throw invalid('allocation_pools', `${text} ends before it begins`);
    if (from.value < first || to.value > last)
      throw invalid('allocation_pools', `${text} does not lie within the hosts of ${formatBlock(block)}`);
    if (gateway !== null && gateway >= from.value && gateway <= to.value)
      throw invalid(
        'allocation_pools',
        `gateway ${formatIp({ version: block.version, value: gateway })} conflicts with ${text}`,
      );
    return { from: from.value, to: to.value, text };
  });
  ranges.sort((a, b) => (a.from < b.from ? -1 : 1));
  ranges.forEach((range, i) => {
    const before = ranges[i - 1];
    if (before && range.from <= before.to)
      throw invalid('allocation_pools', `${before.text} and ${range.text} overlap`);
  });
}

function checkHints(
  fields: { readonly dnsNameservers?: readonly string[]; readonly hostRoutes?: readonly HostRoute[] },
  version: 4 | 6,
): void {
  const { dnsNameservers = [], hostRoutes = [] } = fields;
  if (dnsNameservers.length > mostNameservers)
    throw invalid('dns_nameservers', `${dnsNameservers.length} of them; at most ${mostNameservers}`);
  if (hostRoutes.length > mostHostRoutes)
    throw invalid('host_routes', `${hostRoutes.length} of them; at most ${mostHostRoutes}`);
  for (const server of dnsNameservers)
    if (!parseIp(server)) throw invalid('dns_nameservers', `“${server}” is no address`);
  for (const { destination, nexthop } of hostRoutes) {
    if (parseBlock(destination)?.version !== version || parseIp(nexthop)?.version !== version)
      throw invalid('host_routes', `${destination} via ${nexthop} is no IPv${version} route`);
  }
}
