/** `undercloud node power` and `boot-device`: through the node's BMC. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { eventSentence } from '../event-sentences.ts';
import { doingText, nodeActivity } from '../node-activity.ts';
import { duration, fields } from '../output.ts';
import { action, type Session } from '../program.ts';
import { watch } from '../watch.ts';

/** Word on the command line → Ironic's target, and the state it ends in. */
const powerWords = {
  on: { target: 'power on', ends: 'power on' },
  off: { target: 'power off', ends: 'power off' },
  soft: { target: 'soft power off', ends: 'power off' },
  cycle: { target: 'rebooting', ends: 'power on' },
  reset: { target: 'rebooting', ends: 'power on' },
  'soft-cycle': { target: 'soft rebooting', ends: 'power on' },
} as const;
type PowerWord = keyof typeof powerWords;

interface States {
  power_state: string | null;
  target_power_state: string | null;
  last_error: string | null;
}

/** An operating system may take its time over a soft power off. */
const patienceMs = 300_000;

const at = (node: string): string => `/v1/nodes/${encodeURIComponent(node)}`;

async function setPower(session: Session, node: string, word: PowerWord): Promise<States> {
  const { target, ends } = powerWords[word];
  const cloud = await session.cloud();
  const before = await cloud.get<States>('baremetal', `${at(node)}/states`);
  await cloud.request('PUT', 'baremetal', `${at(node)}/states/power`, { body: { target } });
  session.goesOn(`The change goes on in the undercloud; \`undercloud node power ${node} status\` shows its end.`);
  const began = Date.now();
  let last = before;
  const reached = await watch(
    session,
    async () => {
      const activity = await nodeActivity(cloud, node);
      last = await cloud.get<States>('baremetal', `${at(node)}/states`);
      const ended = last.target_power_state === null && !activity?.now;
      const failed =
        ended &&
        (activity?.last?.state === 'failed' && (activity.last.startedAt ?? 0) >= began - 5000
          ? activity.last.error
          : last.power_state !== ends
            ? last.last_error
            : null);
      if (failed) throw fault('node-failed', { node, reason: failed });
      return {
        rows: (now: number) => {
          const doing = activity?.now ? doingText(activity.now, now) : null;
          const name = { key: node, name: node, clock: doing?.clock || duration(now - began) };
          return [
            ended
              ? { ...name, state: 'done' as const, text: last.power_state ?? 'power unknown' }
              : { ...name, state: 'running' as const, text: doing?.text ?? `${target}: waits for the BMC` },
          ];
        },
        ...(ended && { end: true }),
      };
    },
    { everyMs: 300, patienceMs },
  );
  if (!reached || last.power_state !== ends)
    throw fault('power-unchanged', {
      node,
      target: ends,
      seconds: Math.round((Date.now() - began) / 1000),
      state: last.power_state ?? 'unknown',
    });
  return last;
}

export function nodePowerCommands(node: Command): void {
  node
    .command('power')
    .argument('<node>', 'name or uuid')
    .argument('<what>', `${Object.keys(powerWords).join(', ')}, status`)
    .description('switch a node by its BMC, or ask how it is: soft and soft-cycle ask the operating system')
    .action(
      action(async (session, name: string, what: string) => {
        if (what !== 'status' && !Object.hasOwn(powerWords, what))
          throw fault('usage', {
            reason: `“${what}” is nothing that power does: it is ${Object.keys(powerWords).join(', ')} or status.`,
          });
        const states =
          what === 'status'
            ? await (await session.cloud()).get<States>('baremetal', `${at(name)}/states`)
            : await setPower(session, name, what as PowerWord);
        session.output.result(
          { node: name, power: states.power_state, target: states.target_power_state, error: states.last_error },
          () =>
            fields([
              [name, states.power_state ?? 'power unknown'],
              ['on the way to', states.target_power_state],
              ['last error', states.last_error],
            ]),
        );
        return undefined;
      }),
    );

  node
    .command('boot-device')
    .argument('<node>', 'name or uuid')
    .argument('[device]', 'left out: show it')
    .option('--persistent', 'for every boot from now on, not the next alone')
    .description('show or set what the firmware boots: pxe, disk, cdrom, bios, safe')
    .action(
      action(async (session, name: string, device: string | undefined, flags: { persistent?: boolean }) => {
        const cloud = await session.cloud();
        const path = `${at(name)}/management/boot_device`;
        if (device !== undefined) {
          const persistent = flags.persistent === true;
          await cloud.request('PUT', 'baremetal', path, { body: { boot_device: device, persistent } });
          session.output.result(
            { node: name, boot_device: device, persistent },
            () => `${name}: ${eventSentence('node.boot-device', { device, persistent })}`,
          );
          return undefined;
        }
        const now = await cloud.get<{ boot_device: string | null; persistent: boolean | null }>('baremetal', path);
        session.output.result({ node: name, ...now }, () =>
          now.boot_device === null
            ? `${name}: the firmware’s own order`
            : `${name}: ${now.boot_device}${now.persistent ? ', for good' : ', for the next boot'}`,
        );
        return undefined;
      }),
    );
}
