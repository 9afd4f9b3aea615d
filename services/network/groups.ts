/**
 * Security groups and their rules: checked, kept and shown as Neutron does. They are what a project has written down: no
 * switch driver of this undercloud enforces them, and ports say `port_security_enabled: false` for that reason.
 */
import type { Context } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import { formatBlock, parseBlock } from './cidr.ts';
import type { ListFilters, SecurityGroupRecord, SecurityGroupRuleFields, SecurityGroupRuleRecord } from './model.ts';
import { confinedTo, inside, invalid, projectFor, theOne } from './scope.ts';
import { groupRules, groups, groupUsers } from './store/groups.ts';

export interface SecurityGroupFields {
  readonly name?: string;
  readonly description?: string;
  readonly projectId?: string;
  readonly stateful?: boolean;
}

export type SecurityGroupRuleWish = Partial<SecurityGroupRuleFields> & {
  readonly groupId: string;
  readonly description?: string;
  readonly projectId?: string;
};

type Bare = Omit<SecurityGroupRecord, 'rules'>;
type Tagged = { readonly tags?: readonly string[] };

const defaultName = 'default';
const anything: Omit<SecurityGroupRuleFields, 'direction' | 'ethertype'> = {
  protocol: null,
  portRangeMin: null,
  portRangeMax: null,
  remoteIpPrefix: null,
  remoteGroupId: null,
};
const ethertypes = ['IPv4', 'IPv6'] as const;

/** IANA's names as Neutron has them; a number stands for itself. */
const protocols =
  'ah dccp egp esp gre hopopt icmp igmp ip ipip ipv6-encap ipv6-frag ipv6-icmp icmpv6 ipv6-nonxt ipv6-opts ipv6-route ospf pgm rsvp sctp tcp udp udplite vrrp'.split(
    ' ',
  );
const withPorts = ['tcp', 'udp', 'sctp', 'dccp', 'udplite', '6', '17', '132', '33', '136'];
const icmp = ['icmp', 'icmpv6', 'ipv6-icmp', '1', '58'];

function protocolOf(text: string | null | undefined): string | null {
  if (text === undefined || text === null || text === '' || text.toLowerCase() === 'any') return null;
  const name = text.toLowerCase();
  if (/^\d{1,3}$/.test(name) ? Number(name) <= 255 : protocols.includes(name)) return name;
  throw invalid('protocol', `“${text}” is neither one of ${protocols.join(', ')} nor a number from 0 to 255`);
}

/** RFC 792, 4443: with ICMP the range is the type and the code. */
function checkRange(protocol: string | null, min: number | null, max: number | null): void {
  if (min === null && max === null) return;
  if (protocol !== null && icmp.includes(protocol)) {
    for (const [field, value] of Object.entries({ port_range_min: min, port_range_max: max }))
      if (value !== null && (value < 0 || value > 255))
        throw invalid(field, `${value} is no ICMP type or code (0 to 255)`);
    if (min === null) throw invalid('port_range_min', 'an ICMP code (port_range_max) needs its type (port_range_min)');
    return;
  }
  if (protocol === null || !withPorts.includes(protocol))
    throw invalid('port_range_min', `the protocol ${protocol ?? 'any'} has no ports`);
  if (min === null || max === null) throw invalid('port_range_min', 'give both ends of the range');
  if (min < 1 || max > 65535 || min > max) throw invalid('port_range_min', `${min} to ${max} is no range of ports`);
}

/** The rule as it is kept. @throws Fault `network-invalid` */
function ruleOf(wish: SecurityGroupRuleWish): SecurityGroupRuleFields {
  const { direction = '', ethertype = 'IPv4', portRangeMin = null, portRangeMax = null, remoteGroupId = null } = wish;
  if (direction !== 'ingress' && direction !== 'egress')
    throw invalid('direction', `“${direction}” is neither ingress nor egress`);
  const family = ethertypes.find((one) => one.toLowerCase() === ethertype.toLowerCase());
  if (!family) throw invalid('ethertype', `“${ethertype}” is neither IPv4 nor IPv6`);
  const protocol = protocolOf(wish.protocol);
  checkRange(protocol, portRangeMin, portRangeMax);
  const given = wish.remoteIpPrefix || null;
  if (given !== null && remoteGroupId !== null)
    throw invalid('remote_ip_prefix', 'only one of remote_ip_prefix and remote_group_id may be given');
  const block =
    given === null ? null : parseBlock(given.includes('/') ? given : `${given}/${given.includes(':') ? 128 : 32}`);
  if (given !== null && !block) throw invalid('remote_ip_prefix', `“${given}” is no CIDR`);
  if (block && `IPv${block.version}` !== family)
    throw invalid('ethertype', `${family} does not go with the prefix ${given}`);
  const remoteIpPrefix = block ? formatBlock(block) : null;
  return { direction, ethertype: family, protocol, portRangeMin, portRangeMax, remoteIpPrefix, remoteGroupId };
}

export type SecurityGroups = ReturnType<typeof createSecurityGroups>;

export function createSecurityGroups(db: Database) {
  const on = (tx: Tx | undefined) => tx?.kysely ?? db.kysely;
  async function withRules(rows: readonly Bare[], tx?: Tx): Promise<SecurityGroupRecord[]> {
    const all = await groupRules.list(on(tx), { security_group_id: rows.map(({ id }) => id) }, undefined);
    return rows.map((row) => ({ ...row, rules: all.filter(({ groupId }) => groupId === row.id) }));
  }
  const bare = async (context: Context, idOrName: string, tx?: Tx): Promise<Bare> =>
    theOne(await groups.named(on(tx), idOrName, confinedTo(context)), 'security-group', idOrName);
  const find = async (context: Context, idOrName: string, tx?: Tx): Promise<SecurityGroupRecord> =>
    theOne(await withRules([await bare(context, idOrName, tx)], tx), 'security-group', idOrName);

  async function insertRule(tx: Tx, group: Bare, rule: SecurityGroupRuleFields, description = '') {
    const fields = { groupId: group.id, projectId: group.projectId, description, ...rule };
    const id = await groupRules.insert(tx.kysely, fields);
    if (id) return id;
    const { direction, ethertype, protocol, remoteIpPrefix } = rule;
    const told = [direction, ethertype, protocol ?? 'any protocol', remoteIpPrefix ?? ''].join(' ').trim();
    throw fault('security-group-rule-exists', { id: group.id, rule: told });
  }

  /** Neutron's: whatever leaves is let out. */
  async function insertGroup(tx: Tx, fields: Required<SecurityGroupFields> & { isDefault: boolean }) {
    const id = await groups.insert(tx.kysely, fields);
    if (!id) return null;
    const group = theOne(await groups.named(tx.kysely, id, undefined), 'security-group', id);
    for (const ethertype of ethertypes) await insertRule(tx, group, { direction: 'egress', ethertype, ...anything });
    return group;
  }

  /** Made when somebody looks for it, as Neutron does; its members may reach each other. */
  async function ensureDefault(projectId: string, tx?: Tx): Promise<void> {
    if (projectId === '') return;
    const [known] = await groups.list(on(tx), { project_id: projectId, is_default: 'true' }, undefined);
    if (known) return;
    await inside(db, tx, async (inner) => {
      const group = await insertGroup(inner, {
        name: defaultName,
        description: 'Default security group',
        projectId,
        stateful: true,
        isDefault: true,
      });
      // Null: another call was first.
      if (!group) return;
      const remoteGroupId = group.id;
      for (const ethertype of ethertypes)
        await insertRule(inner, group, { direction: 'ingress', ethertype, ...anything, remoteGroupId });
    });
  }

  const findRule = async (context: Context, id: string, tx?: Tx) =>
    theOne(await groupRules.named(on(tx), id, confinedTo(context)), 'security-group-rule', id);

  return {
    find,
    async list(context: Context, filters: ListFilters = {}): Promise<SecurityGroupRecord[]> {
      await ensureDefault(context.projectId ?? '');
      return withRules(await groups.list(db.kysely, filters, confinedTo(context)));
    },
    async create(context: Context, fields: SecurityGroupFields, tx?: Tx): Promise<SecurityGroupRecord> {
      const projectId = projectFor(context, fields.projectId);
      if (fields.name === defaultName)
        throw fault('security-group-default', { project: projectId, what: 'made again' });
      return inside(db, tx, async (inner) => {
        await ensureDefault(projectId, inner);
        const whole = { name: '', description: '', stateful: true, ...fields, projectId, isDefault: false };
        const { id } = (await insertGroup(inner, whole)) as Bare;
        return find(context, id, inner);
      });
    },
    async update(context: Context, id: string, changes: SecurityGroupFields & Tagged, tx?: Tx) {
      const group = await find(context, id, tx);
      if (
        changes.name !== undefined &&
        changes.name !== group.name &&
        (group.isDefault || changes.name === defaultName)
      )
        throw fault('security-group-default', { project: group.projectId, what: 'given or lose that name' });
      await inside(db, tx, (inner) => groups.update(inner.kysely, group.id, changes));
      return find(context, group.id, tx);
    },
    async remove(context: Context, id: string, tx?: Tx): Promise<void> {
      const group = await find(context, id, tx);
      if (group.isDefault) throw fault('security-group-default', { project: group.projectId, what: 'deleted' });
      await inside(db, tx, async (inner) => {
        // Ports take it with a key lock: none can between the count and the end.
        await groups.lock(inner.kysely, group.id);
        const users = await groupUsers(inner.kysely, group.id);
        if (users.count > 0) throw fault('security-group-in-use', { id: group.id, ...users });
        await groups.remove(inner.kysely, group.id);
      });
    },

    rules: {
      find: findRule,
      async list(context: Context, filters: ListFilters = {}): Promise<SecurityGroupRuleRecord[]> {
        await ensureDefault(context.projectId ?? '');
        return groupRules.list(db.kysely, filters, confinedTo(context));
      },
      async create(context: Context, wish: SecurityGroupRuleWish, tx?: Tx): Promise<SecurityGroupRuleRecord> {
        const rule = ruleOf(wish);
        return inside(db, tx, async (inner) => {
          const group = await bare(context, wish.groupId, inner);
          const remoteGroupId = rule.remoteGroupId && (await bare(context, rule.remoteGroupId, inner)).id;
          const id = await insertRule(inner, group, { ...rule, remoteGroupId }, wish.description);
          return findRule(context, id, inner);
        });
      },
      async update(context: Context, id: string, changes: { description?: string } & Tagged, tx?: Tx) {
        const rule = await findRule(context, id, tx);
        await inside(db, tx, (inner) => groupRules.update(inner.kysely, rule.id, changes));
        return findRule(context, id, tx);
      },
      async remove(context: Context, id: string, tx?: Tx): Promise<void> {
        const rule = await findRule(context, id, tx);
        await inside(db, tx, (inner) => groupRules.remove(inner.kysely, rule.id));
      },
    },
  };
}
