/** `undercloud bmc ... NODE`: the BMC itself. Examine it, rotate its password, set its clock, restart it. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import type { Client } from '../client.ts';
import { nodeActivity, nodeRow } from '../node-activity.ts';
import { duration, fields, table } from '../output.ts';
import { action, type Session } from '../program.ts';
import { watch } from '../watch.ts';

interface CardRow {
  check: string;
  verdict: string;
  measured: string;
  wrong: string | null;
  answer: string | null;
}

interface Card {
  vendor: string;
  model: string;
  firmware: string;
  rows: CardRow[];
  quirks: Record<string, unknown>;
  node: string;
  taken_at: string;
}

interface BmcView {
  driver: string;
  description: string | null;
  vendor: string | null;
  model: string | null;
  firmware: string | null;
  capabilities: string[];
  quirks: Record<string, unknown>;
  fleet: {
    power_state: string | null;
    breaker: string;
    failures: number;
    silent_seconds: number;
    reason: string | null;
  } | null;
  /** What boots have shown of this kind of BMC, examined or not. */
  boots: CardRow;
  card: Card | null;
}

const at = (node: string): string => `/v1/nodes/${encodeURIComponent(node)}/bmc`;

/** Starts an operation on a node's BMC and watches it to its end. @throws Fault `node-failed` */
async function carryOut(session: Session, cloud: Client, node: string, path: string): Promise<void> {
  const { body } = await cloud.request<{ operation: string }>('POST', 'baremetal', `${at(node)}/${path}`, { body: {} });
  session.goesOn(`It goes on in the undercloud; \`undercloud node show ${node}\` tells how it is.`);
  const since = Date.now();
  await watch(
    session,
    async () => {
      const activity = await nodeActivity(cloud, node);
      const ended = !activity?.now;
      const failed = ended && activity?.last?.operation === body.operation && activity.last.state === 'failed';
      if (failed) throw fault('node-failed', { node, reason: activity.last?.error ?? 'it does not say why' });
      return {
        rows: (now: number) => [nodeRow({ key: node, name: node, since }, activity, ended ? 'done' : null, now)],
        ...(ended && { end: true }),
      };
    },
    { everyMs: 400 },
  );
}

function cardLines(card: Card, node: string): string[] {
  const marks: Record<string, string> = { ok: 'ok', warning: 'warning', bad: 'BAD', unknown: '-' };
  return [
    `${card.vendor} ${card.model}, firmware ${card.firmware} (examined ${card.taken_at})`,
    ...table(
      ['check', '', 'measured'],
      card.rows.map((row) => [row.check, marks[row.verdict] ?? row.verdict, row.measured]),
    ),
    ...wrongLines(card.rows, node),
  ];
}

const wrongLines = (rows: readonly CardRow[], node: string): string[] =>
  rows.flatMap(({ check, wrong, answer }) =>
    wrong === null ? [] : [`${check}: ${wrong}. ${(answer ?? '').replaceAll('NODE', node)}`.trimEnd()],
  );

export function bmcNodeCommands(bmc: Command): void {
  const command = (name: string, text: string) =>
    bmc.command(name).argument('<node>', 'name or uuid').description(text);

  command('show', 'what is known of a node’s BMC: model, what it can do, how the fleet loop finds it').action(
    action(async (session, name: string) => {
      const view = await (await session.cloud()).get<BmcView>('baremetal', at(name));
      const { fleet } = view;
      session.output.result(view, () => [
        ...fields([
          ['driver', view.driver],
          ['BMC', view.description],
          ['vendor', view.vendor],
          ['model', view.model],
          ['firmware', view.firmware],
          ['can', view.capabilities.join(', ')],
          ['power', fleet?.power_state],
          ['looked at', fleet ? (fleet.breaker === 'open' ? 'less often, after failures' : 'all the time') : 'no'],
          ['last answer', fleet && fleet.failures > 0 ? `${duration(fleet.silent_seconds * 1_000)} ago` : null],
          ['failure', fleet?.reason],
          ['boots', view.card ? null : view.boots.measured],
          ['report card', view.card ? null : `none yet: \`undercloud bmc check ${name}\``],
        ]),
        ...(view.card ? cardLines(view.card, name) : wrongLines([view.boots], name)),
      ]);
      return undefined;
    }),
  );

  command(
    'check',
    'examine the BMC: latency, suites, sessions, boot override, console, clock; what is wrong and what is done about it',
  ).action(
    action(async (session, name: string) => {
      const cloud = await session.cloud();
      await carryOut(session, cloud, name, 'check');
      const { card } = await cloud.get<BmcView>('baremetal', at(name));
      if (!card) throw fault('node-failed', { node: name, reason: 'its BMC has no report card' });
      session.output.result(card, () => cardLines(card, name));
      return undefined;
    }),
  );

  command(
    'rotate-password',
    'give our user on the BMC another password; the old one is forgotten when a log-in has proven the new one',
  ).action(
    action(async (session, name: string) => {
      const cloud = await session.cloud();
      await carryOut(session, cloud, name, 'rotate-password');
      session.output.result(
        { node: name, rotated: true },
        () => `${name}: the BMC has a new password, proven by a log-in.`,
      );
      return undefined;
    }),
  );

  command('users', 'who may log in to the BMC').action(
    action(async (session, name: string) => {
      interface User {
        id: string;
        name: string;
        enabled: boolean | null;
        role: string;
        own: boolean;
      }
      const { users } = await (await session.cloud()).get<{ users: User[] }>('baremetal', `${at(name)}/users`);
      session.output.result(users, () =>
        table(
          ['id', 'name', 'role', 'enabled', ''],
          users.map((one) => [
            ...[one.id, one.name || '(empty)', one.role, one.enabled === null ? '?' : one.enabled ? 'yes' : 'no'],
            one.own ? 'ours' : ' ',
          ]),
        ),
      );
      return undefined;
    }),
  );

  command('clock', 'the clock of the BMC’s log, and how far it is off')
    .option('--set', 'set it to the undercloud’s')
    .action(
      action(async (session, name: string, flags: { set?: boolean }) => {
        const cloud = await session.cloud();
        if (flags.set) await cloud.request('POST', 'baremetal', `${at(name)}/clock`, { body: {} });
        const clock = await cloud.get<{ time: string | null; ahead_seconds: number | null }>(
          'baremetal',
          `${at(name)}/clock`,
        );
        const { time, ahead_seconds: ahead } = clock;
        session.output.result({ node: name, ...clock }, () =>
          time === null || ahead === null
            ? `${name}: not set; it counts from the BMC’s start`
            : `${name}: ${time}, ${ahead === 0 ? 'right' : `${Math.abs(ahead)} s ${ahead > 0 ? 'ahead' : 'behind'}`}`,
        );
        return undefined;
      }),
    );

  command('firmware', 'firmware versions that the BMC tells of').action(
    action(async (session, name: string) => {
      interface Version {
        component: string;
        version: string;
        updateable: boolean | null;
      }
      const { firmware } = await (await session.cloud()).get<{ firmware: Version[] }>(
        'baremetal',
        `${at(name)}/firmware`,
      );
      session.output.result(firmware, () =>
        table(
          ['component', 'version'],
          firmware.map(({ component, version }) => [component, version]),
        ),
      );
      return undefined;
    }),
  );

  command('power-policy', 'what the machine does when mains power returns: always-off, previous, always-on')
    .argument('[policy]', 'left out: show it')
    .action(
      action(async (session, name: string, policy: string | undefined) => {
        const cloud = await session.cloud();
        const path = `${at(name)}/power-policy`;
        if (policy !== undefined) await cloud.request('PUT', 'baremetal', path, { body: { policy } });
        const found = await cloud.get<{ policy: string | null }>('baremetal', path);
        session.output.result(
          { node: name, policy: found.policy },
          () => `${name}: ${found.policy ?? 'it does not say'}`,
        );
        return undefined;
      }),
    );

  command('restart', 'restart the BMC itself; the machine goes on').action(
    action(async (session, name: string) => {
      await (await session.cloud()).request('POST', 'baremetal', `${at(name)}/restart`, { body: {} });
      session.output.result(
        { node: name, restarted: true },
        () => `${name}: its BMC restarts, which takes a minute or two.`,
      );
      return undefined;
    }),
  );

  bmc
    .command('cards')
    .description('report cards of all kinds of BMCs that were examined')
    .action(
      action(async (session) => {
        const { cards } = await (await session.cloud()).get<{ cards: Card[] }>('baremetal', '/v1/bmcs/cards');
        session.output.result(cards, () =>
          cards.length === 0
            ? 'No BMC was examined yet: `undercloud bmc check NODE`.'
            : table(
                ['vendor', 'model', 'firmware', 'examined', 'wrong'],
                cards.map((card) => [
                  ...[card.vendor, card.model, card.firmware, card.taken_at],
                  card.rows.flatMap(({ wrong }) => wrong ?? []).join('; '),
                ]),
              ),
        );
        return undefined;
      }),
    );

  bmc
    .command('fleet')
    .description('how many BMCs are looked at, and how many do not answer')
    .action(
      action(async (session) => {
        const counts = await (await session.cloud()).get<Record<string, number> & { looked_at_by: string | null }>(
          'baremetal',
          '/v1/bmcs/fleet',
        );
        session.output.result(counts, () =>
          fields([
            ['looked at by', counts.looked_at_by ?? 'nobody'],
            ['watched', counts.watched],
            ['asked less often', counts.open],
            ['silent for long', counts.silent],
            ['looks since the start', counts.looks],
            ['of them in vain', counts.failures],
          ]),
        );
        return undefined;
      }),
    );
}
