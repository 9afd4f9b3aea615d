import { randomBytes } from 'node:crypto';
import type { Context } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { Recorder } from '../core/events/index.ts';
import { normaliseMac } from '../dhcp/index.ts';
import { type Allotment, allot, planOf } from './allotment.ts';
import type { ListFilters, NetworkRecord, PortChanges, PortFields, PortRecord } from './model.ts';
import { confinedTo, inside, invalid, projectFor, requireOwner, theOne } from './scope.ts';
import { giveBack } from './store/addresses.ts';
import { setPortGroups, usableGroups } from './store/groups.ts';
import { networksNamed } from './store/networks.ts';
import * as store from './store/ports.ts';
import { listSubnets } from './store/subnets.ts';
import { trunkOf } from './store/trunks.ts';

export interface PortsDeps {
  readonly db: Database;
  readonly recorder: Recorder;
  /** Told after the commit which MACs may have got another address. */
  readonly tell: (macs: readonly string[]) => void;
}

/** Neutron's own prefix for the MACs it makes: locally administered, and known to whoever reads a trace. */
const ownPrefix = 'fa:16:3e';
/** 2^24 MACs: with 10,000 ports on a network one draw in 1,700 collides. */
const mostDraws = 16;

const drawMac = () => `${ownPrefix}:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

export function requireMac(text: string): string {
  const mac = normaliseMac(text);
  if (!mac) throw invalid('mac_address', `“${text}” is no MAC address; write it as 52:54:00:aa:00:01`);
  // The group bit: such an address is nobody's own.
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) throw invalid('mac_address', `${mac} is a multicast address`);
  if (mac === '00:00:00:00:00:00') throw invalid('mac_address', `${mac} is nobody’s address`);
  return mac;
}

export type Ports = ReturnType<typeof createPorts>;

export function createPorts({ db, recorder, tell }: PortsDeps) {
  const find = async (context: Context, idOrName: string, tx?: Tx) =>
    theOne(await store.portsNamed(tx?.kysely ?? db.kysely, idOrName, confinedTo(context)), 'port', idOrName);
  const reread = async (tx: Tx, id: string) => theOne(await store.portsNamed(tx.kysely, id, undefined), 'port', id);
  const announce = (tx: Tx, ...macs: string[]) => tx.afterCommit(() => tell(macs));

  async function macInUse(tx: Tx, networkId: string, mac: string, kept: boolean): Promise<never> {
    const port = await store.portWithMac(tx.kysely, networkId, mac, kept);
    throw fault('mac-in-use', { network: networkId, mac, port: port ?? 'that is being made' });
  }

  /** Inserts the row with the wanted MAC or one of our own. */
  async function insert(tx: Tx, port: store.NewPort, wanted: string | undefined): Promise<string> {
    if (wanted !== undefined) {
      const id = await store.insertPort(tx.kysely, { ...port, macAddress: wanted });
      return id ?? macInUse(tx, port.networkId, wanted, port.kept);
    }
    let mac = drawMac();
    for (let draw = 0; draw < mostDraws; draw += 1, mac = drawMac()) {
      const id = await store.insertPort(tx.kysely, { ...port, macAddress: mac });
      if (id) return id;
    }
    return macInUse(tx, port.networkId, mac, port.kept);
  }

  async function allotmentOf(tx: Tx, networkId: string): Promise<Allotment> {
    return { networkId, subnets: await listSubnets(tx.kysely, { network_id: networkId }, undefined) };
  }

  /** The row and its addresses; `network` has been judged by the caller. */
  async function make(
    tx: Tx,
    network: NetworkRecord,
    fields: PortFields,
    given: { projectId: string; kept: boolean; nodeId?: string | null },
  ): Promise<PortRecord> {
    const allotment = await allotmentOf(tx, network.id);
    const plan = planOf(allotment, fields.fixedIps);
    const mac = fields.macAddress === undefined ? undefined : requireMac(fields.macAddress);
    const row: store.NewPort = {
      networkId: network.id,
      name: fields.name ?? '',
      projectId: given.projectId,
      description: fields.description ?? '',
      macAddress: mac ?? '',
      adminStateUp: fields.adminStateUp ?? true,
      status: 'DOWN',
      deviceId: fields.deviceId ?? '',
      deviceOwner: fields.deviceOwner ?? '',
      nodeId: given.nodeId ?? null,
      hostId: fields.hostId ?? '',
      vnicType: fields.vnicType ?? 'normal',
      bindingProfile: fields.bindingProfile ?? {},
      dnsName: fields.dnsName ?? '',
      extraDhcpOptions: fields.extraDhcpOptions ?? [],
      kept: given.kept,
    };
    const id = await insert(tx, row, mac);
    await allot(tx, allotment, plan, id);
    if (fields.securityGroups?.length) await setPortGroups(tx.kysely, id, fields.securityGroups);
    const port = await reread(tx, id);
    announce(tx, port.macAddress);
    return port;
  }

  async function requireGroups(tx: Tx, context: Context, ids: readonly string[] = []): Promise<void> {
    const usable = ids.length === 0 ? [] : await usableGroups(tx.kysely, ids, confinedTo(context));
    const missing = ids.find((id) => !usable.includes(id));
    if (missing !== undefined) throw fault('security-group-not-found', { id: missing });
  }

  /**
   * A port gets its address before anybody knows which node it will be: where the network has several subnets, a link each, it moves to
   * that of the node's card, which could not use the other one.
   */
  async function followNode(tx: Tx, port: PortRecord, mac: string): Promise<PortRecord['fixedIps']> {
    const kept = await store.portWithMac(tx.kysely, port.networkId, mac, true);
    const home = kept && (await reread(tx, kept)).fixedIps[0]?.subnetId;
    if (!home || port.fixedIps.length === 0 || port.fixedIps.some(({ subnetId }) => subnetId === home))
      return port.fixedIps;
    const allotment = await allotmentOf(tx, port.networkId);
    const isOld = (subnetId: string) =>
      allotment.subnets.some(({ id, ipVersion }) => id === subnetId && ipVersion === 4);
    const left = port.fixedIps.filter(({ subnetId }) => isOld(subnetId));
    await giveBack(
      tx.kysely,
      port.id,
      left.map((held) => ({ subnetId: held.subnetId, address: held.ipAddress })),
    );
    await allot(tx, allotment, planOf(allotment, [{ subnetId: home }]), port.id, port.fixedIps.length);
    return (await reread(tx, port.id)).fixedIps;
  }

  async function lock(tx: Tx, id: string) {
    const port = await store.lockPort(tx.kysely, id);
    if (!port) throw fault('network-port-not-found', { id });
    return port;
  }

  return {
    find,
    make,
    list: (context: Context, filters: ListFilters = {}) => store.listPorts(db.kysely, filters, confinedTo(context)),
    ofDevice: (deviceId: string) => store.listPorts(db.kysely, { device_id: deviceId }, undefined),

    create: (context: Context, fields: PortFields, tx?: Tx): Promise<PortRecord> =>
      inside(db, tx, async (inner) => {
        const rows = await networksNamed(inner.kysely, fields.networkId, confinedTo(context));
        const network = theOne(rows, 'network', fields.networkId);
        await requireGroups(inner, context, fields.securityGroups);
        return make(inner, network, fields, { projectId: projectFor(context, fields.projectId), kept: false });
      }),

    async update(
      context: Context,
      idOrName: string,
      changes: PortChanges & { readonly tags?: readonly string[] },
      tx?: Tx,
    ): Promise<PortRecord> {
      const seen = await find(context, idOrName, tx);
      requireOwner(context, seen, 'update_port');
      return inside(db, tx, async (inner) => {
        const { ownMac, ...before } = await lock(inner, seen.id);
        const { fixedIps, macAddress, securityGroups, ...rest } = changes;
        const mac = macAddress === undefined ? before.macAddress : requireMac(macAddress);
        if (mac !== before.macAddress) {
          if (before.nodeId !== null)
            throw invalid('mac_address', `port ${before.id} is bound to node ${before.nodeId} and bears its MAC`);
          if (await store.portWithMac(inner.kysely, before.networkId, mac, before.kept))
            await macInUse(inner, before.networkId, mac, before.kept);
        }
        const isOwn = before.nodeId === null || before.kept;
        await store.updatePort(inner.kysely, { ...before, ...rest, macAddress: mac }, isOwn ? mac : ownMac);
        if (securityGroups) {
          await requireGroups(inner, context, securityGroups);
          await setPortGroups(inner.kysely, before.id, securityGroups);
        }
        if (fixedIps) {
          const allotment = await allotmentOf(inner, before.networkId);
          const plan = planOf(allotment, fixedIps);
          const stays = before.fixedIps.filter((held) => plan.some((wish) => wish.ipAddress === held.ipAddress));
          const goes = before.fixedIps.filter((held) => !stays.includes(held));
          await giveBack(
            inner.kysely,
            before.id,
            goes.map((held) => ({ subnetId: held.subnetId, address: held.ipAddress })),
          );
          const fresh = plan.filter((wish) => !stays.some((held) => held.ipAddress === wish.ipAddress));
          await allot(inner, allotment, fresh, before.id, stays.length);
        }
        announce(inner, before.macAddress, mac);
        return reread(inner, before.id);
      });
    },

    async remove(context: Context, idOrName: string, tx?: Tx): Promise<void> {
      const port = await find(context, idOrName, tx);
      requireOwner(context, port, 'delete_port');
      await inside(db, tx, async (inner) => {
        await lock(inner, port.id);
        const trunk = await trunkOf(inner.kysely, port.id);
        if (trunk) throw fault('port-in-trunk', { id: port.id, trunk: trunk.id, as: trunk.as });
        await giveBack(inner.kysely, port.id);
        await store.deletePort(inner.kysely, port.id);
        announce(inner, port.macAddress);
      });
    },

    async bind(tx: Tx, portId: string, to: { nodeId: string; mac: string }): Promise<PortRecord> {
      const { ownMac, ...port } = await lock(tx, portId);
      const mac = requireMac(to.mac);
      const rival = await store.portWithMac(tx.kysely, port.networkId, mac, false);
      if (rival && rival !== port.id) throw fault('mac-in-use', { network: port.networkId, mac, port: rival });
      const bound = {
        ...port,
        macAddress: mac,
        nodeId: to.nodeId,
        hostId: to.nodeId,
        vnicType: 'baremetal',
        status: 'ACTIVE' as const,
      };
      await store.updatePort(tx.kysely, bound, ownMac);
      const fixedIps = await followNode(tx, port, mac);
      const addresses = fixedIps.map((held) => held.ipAddress);
      await recorder.append(
        tx,
        'network.port-bound',
        { type: 'node', id: to.nodeId },
        { port: port.id, mac, addresses },
      );
      announce(tx, mac, port.macAddress);
      return reread(tx, port.id);
    },

    async unbind(tx: Tx, portId: string): Promise<void> {
      const locked = await store.lockPort(tx.kysely, portId);
      // Gone or free already: whoever takes a server down may come twice.
      if (!locked || locked.nodeId === null || locked.kept) return;
      const { ownMac, ...port } = locked;
      // Its own MAC may have been given to another while it bore the node's.
      const isTaken = await store.portWithMac(tx.kysely, port.networkId, ownMac, false);
      const mac = ownMac === port.macAddress || isTaken ? drawMac() : ownMac;
      const free = { ...port, macAddress: mac, nodeId: null, hostId: '', vnicType: 'normal', status: 'DOWN' as const };
      await store.updatePort(tx.kysely, free, mac);
      const node = { type: 'node', id: locked.nodeId };
      await recorder.append(tx, 'network.port-unbound', node, { port: port.id, mac: port.macAddress });
      announce(tx, port.macAddress, mac);
    },
  };
}
