/** The network of the provisioning interface, and the addresses that it keeps for MACs. */
import { systemContext } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { Recorder } from '../core/events/index.ts';
import { formatBlock, parseBlock } from './cidr.ts';
import type { HeldAddress, NetworkRecord, SubnetFields, SubnetRecord } from './model.ts';
import type { createNetworks } from './networks.ts';
import { type Ports, requireMac } from './ports.ts';
import { inside } from './scope.ts';
import { giveBack, subnetUsers } from './store/addresses.ts';
import { insertNetwork, listNetworks, lockProvisioning } from './store/networks.ts';
import * as store from './store/ports.ts';
import type { Executor } from './store/query.ts';
import { listSubnets } from './store/subnets.ts';
import type { createSubnets } from './subnets.ts';

export interface ProvisioningNetwork {
  /** `ctlplane` */
  readonly name: string;
  /** `192.0.2.0/24`: the mask that nodes get. */
  readonly cidr: string;
  readonly pool: readonly [first: string, last: string];
  /** The default route of the nodes; null or absent for none. */
  readonly gateway?: string | null;
  readonly nameservers?: readonly string[];
  /** Our own address on it, so that no port gets it. */
  readonly address?: string;
  readonly mtu?: number;
  /** Subnets of further interfaces; `address` is our own there, the gateway of its machines. */
  readonly further?: readonly {
    readonly cidr: string;
    readonly pool: readonly [string, string];
    readonly address: string;
  }[];
}

interface Deps {
  readonly db: Database;
  readonly recorder: Recorder;
  readonly networks: ReturnType<typeof createNetworks>;
  readonly subnets: ReturnType<typeof createSubnets>;
  readonly ports: Ports;
  readonly tell: (macs: readonly string[]) => void;
}

/** Ironic's own owner for the ports of a node that is nobody's server. */
const keptOwner = 'baremetal:none';
/** As Neutron marks the address of the DHCP server. */
const ownAddressOwner = 'network:dhcp';

export function createProvisioning({ db, recorder, networks, subnets, ports, tell }: Deps) {
  const context = systemContext();
  /** The provisioning network does not come and go; its id is remembered so that a DISCOVER costs one query. */
  let known: string | null = null;

  async function current(tx?: Tx): Promise<{ network: NetworkRecord; subnet: SubnetRecord } | null> {
    const on = tx?.kysely ?? db.kysely;
    const [network] = await listNetworks(on, { provisioning: 'true' }, undefined);
    if (!network) return null;
    const subnet = await firstSubnet(on, network.id, network.name);
    known = network.id;
    return subnet ? { network, subnet } : null;
  }

  /** That of the first interface: by its name, since one that was made anew is not the oldest any more. */
  async function firstSubnet(on: Executor, networkId: string, name: string): Promise<SubnetRecord | undefined> {
    const all = await listSubnets(on, { network_id: networkId, ip_version: '4' }, undefined);
    return all.find((one) => one.name === `${name}-subnet`) ?? all[0];
  }

  async function held(mac: string): Promise<HeldAddress | null> {
    const networkId = known ?? (await current())?.network.id;
    if (!networkId) return null;
    return (await store.heldAddresses(db.kysely, networkId, mac))[0] ?? null;
  }

  async function bringUpToDate(tx: Tx, wanted: ProvisioningNetwork, network: NetworkRecord): Promise<void> {
    const fields: SubnetFields = {
      networkId: network.id,
      name: `${wanted.name}-subnet`,
      cidr: wanted.cidr,
      gatewayIp: wanted.gateway ?? null,
      dnsNameservers: wanted.nameservers ?? [],
      allocationPools: [{ start: wanted.pool[0], end: wanted.pool[1] }],
    };
    const block = parseBlock(wanted.cidr);
    const before = await firstSubnet(tx.kysely, network.id, network.name);
    if (before && block && before.cidr === formatBlock(block)) {
      await subnets.update(context, before.id, fields, tx);
    } else {
      if (before) {
        const own = await ownPorts(tx, network.id);
        for (const port of own) await ports.remove(context, port.id, tx);
        const { count } = await subnetUsers(tx.kysely, before.id);
        if (count > 0)
          throw fault('provisioning-changed', { name: wanted.name, is: before.cidr, count, wanted: wanted.cidr });
        await subnets.remove(context, before.id, tx);
      }
      await subnets.create(context, fields, tx);
    }
    for (const link of wanted.further ?? []) await bringFurther(tx, wanted, network, link);
    const addresses = [wanted.address, ...(wanted.further ?? []).map(({ address }) => address)];
    const own = await ownPorts(tx, network.id);
    const at = (port: { fixedIps: readonly { ipAddress: string }[] }) => port.fixedIps[0]?.ipAddress;
    for (const port of own) if (!addresses.includes(at(port))) await ports.remove(context, port.id, tx);
    for (const address of addresses) {
      if (address === undefined || own.some((port) => at(port) === address)) continue;
      const fields = { networkId: network.id, name: 'undercloud', deviceOwner: ownAddressOwner };
      const fixedIps = [{ ipAddress: address }];
      await ports.make(tx, network, { ...fields, fixedIps }, { projectId: network.projectId, kept: false });
    }
  }

  /** One whose interface is no longer named stays: its machines' addresses are theirs, and it may be served through a relay. */
  async function bringFurther(
    tx: Tx,
    wanted: ProvisioningNetwork,
    network: NetworkRecord,
    { cidr, pool, address }: NonNullable<ProvisioningNetwork['further']>[number],
  ): Promise<void> {
    const fields: SubnetFields = {
      networkId: network.id,
      name: `${wanted.name}-${cidr}`,
      cidr,
      gatewayIp: address,
      dnsNameservers: wanted.nameservers ?? [],
      allocationPools: [{ start: pool[0], end: pool[1] }],
    };
    const block = parseBlock(cidr);
    const all = await listSubnets(tx.kysely, { network_id: network.id, ip_version: '4' }, undefined);
    const before = block && all.find((one) => one.cidr === formatBlock(block));
    if (before) await subnets.update(context, before.id, fields, tx);
    else await subnets.create(context, fields, tx);
  }

  const ownPorts = (tx: Tx, networkId: string) =>
    store.listPorts(tx.kysely, { network_id: networkId, device_owner: ownAddressOwner }, undefined);

  return {
    current: () => current(),

    ensure: (wanted: ProvisioningNetwork) =>
      inside(db, undefined, async (tx) => {
        // Two starts at once must not both make it.
        await lockProvisioning(tx.kysely);
        const mtu = wanted.mtu ?? 1500;
        let network = (await listNetworks(tx.kysely, { provisioning: 'true' }, undefined))[0];
        if (!network) {
          const fields = {
            name: wanted.name,
            projectId: '',
            description: 'The wire that nodes boot and are deployed over',
            adminStateUp: true,
            shared: true,
            external: false,
            isDefault: false,
            mtu,
            dnsDomain: '',
            portSecurityEnabled: false,
            networkType: 'flat',
            physicalNetwork: wanted.name,
            segmentationId: null,
          };
          network = await insertNetwork(tx.kysely, fields, true);
        } else if (network.name !== wanted.name || network.mtu !== mtu) {
          network = await networks.update(context, network.id, { name: wanted.name, mtu }, tx);
        }
        await bringUpToDate(tx, wanted, network);
        const made = await current(tx);
        if (!made) throw fault('network-not-found', { id: wanted.name });
        return made;
      }),

    async addressOf(mac: string): Promise<{ ip: string; portId: string | null } | null> {
      const one = await held(requireMac(mac));
      return one && { ip: one.ip, portId: one.kept ? null : one.portId };
    },

    async keep(
      text: string,
      options: { nodeId?: string; hostName?: string; subnetId?: string } = {},
    ): Promise<HeldAddress> {
      const mac = requireMac(text);
      const before = await held(mac);
      if (before) return before;
      const made = await current();
      if (!made) throw fault('provisioning-missing', { mac });
      const { network, subnet } = made;
      const { nodeId, hostName } = options;
      const fields = {
        networkId: network.id,
        macAddress: mac,
        deviceOwner: keptOwner,
        fixedIps: [{ subnetId: options.subnetId ?? subnet.id }],
        ...(nodeId !== undefined && { deviceId: nodeId }),
        ...(hostName !== undefined && { dnsName: hostName }),
      };
      try {
        await inside(db, undefined, async (tx) => {
          const port = await ports.make(tx, network, fields, {
            projectId: network.projectId,
            kept: true,
            nodeId: nodeId ?? null,
          });
          const subject = nodeId === undefined ? { type: 'port', id: port.id } : { type: 'node', id: nodeId };
          const address = port.fixedIps[0]?.ipAddress ?? '';
          await recorder.append(tx, 'network.address-kept', subject, { mac, address });
        });
      } catch (error) {
        // Another made it at the same moment: then it is there now.
        const theirs = await held(mac);
        if (!theirs) throw error;
        return theirs;
      }
      const own = await held(mac);
      if (!own) throw fault('network-port-not-found', { id: `of ${mac}` });
      return own;
    },

    async forget(tx: Tx, text: string): Promise<void> {
      const mac = requireMac(text);
      const made = await current(tx);
      const id = made && (await store.portWithMac(tx.kysely, made.network.id, mac, true));
      if (!id) return;
      await giveBack(tx.kysely, id);
      await store.deletePort(tx.kysely, id);
      tx.afterCommit(() => tell([mac]));
    },

    async heldAddresses(networkId: string, mac?: string): Promise<HeldAddress[]> {
      return store.heldAddresses(db.kysely, networkId, mac);
    },
  };
}
