/** `undercloud node sensors`, `event-log`, `inventory` and `identify`: what a node's BMC knows of its machine. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { fields, table } from '../output.ts';
import { action } from '../program.ts';

interface Sensor {
  name: string;
  kind: string;
  value: number | null;
  unit: string;
  health: string;
  thresholds: Record<string, number>;
  states: string[];
}

interface Entry {
  id: string;
  at: string | null;
  severity: string;
  source: string;
  text: string;
}

interface Part {
  kind: string;
  name: string;
  manufacturer: string | null;
  model: string | null;
  serial: string | null;
  part: string | null;
}

interface Inventory extends Omit<Part, 'kind' | 'name' | 'part'> {
  assetTag: string | null;
  uuid: string | null;
  parts: Part[];
  faults: string[];
}

const at = (node: string): string => `/v1/nodes/${encodeURIComponent(node)}`;

/** `5 to 95`: the critical limits, which is where a person has to look. */
function limits({ thresholds: { lowerCritical: low, upperCritical: high } }: Sensor): string {
  if (low !== undefined && high !== undefined) return `${low} to ${high}`;
  return low !== undefined ? `from ${low}` : high !== undefined ? `to ${high}` : '';
}

export function nodeHardwareCommands(node: Command): void {
  node
    .command('sensors')
    .argument('<node>', 'name or uuid')
    .option('--wrong', 'only those that are not well')
    .description('temperatures, fans, voltages and states, as the BMC measures them now')
    .action(
      action(async (session, name: string, flags: { wrong?: boolean }) => {
        const cloud = await session.cloud();
        const { sensors } = await cloud.get<{ sensors: Sensor[] }>('baremetal', `${at(name)}/bmc/sensors`);
        const shown = flags.wrong
          ? sensors.filter(({ health }) => health === 'warning' || health === 'critical')
          : sensors;
        session.output.result(shown, () =>
          shown.length === 0
            ? flags.wrong
              ? `${name}: nothing is wrong, says its BMC.`
              : `${name}: its BMC has no sensors.`
            : table(
                ['sensor', 'reading', '', 'health', 'critical outside', ''],
                shown.map((one) => [one.name, one.value, one.unit, one.health, limits(one), one.states.join(', ')]),
              ),
        );
        return undefined;
      }),
    );

  node
    .command('event-log')
    .argument('<node>', 'name or uuid')
    .option('--limit <n>', 'the newest so many', '50')
    .option('--clear', 'empty the log, after it was shown')
    .description('the BMC’s own log: power, temperatures, memory errors, intrusions')
    .action(
      action(async (session, name: string, flags: { limit: string; clear?: boolean }) => {
        if (!/^[1-9]\d{0,3}$/.test(flags.limit))
          throw fault('usage', { reason: `--limit is a number from 1 to 9999, not ${flags.limit}.` });
        const cloud = await session.cloud();
        const path = `${at(name)}/bmc/event-log`;
        const { entries } = await cloud.get<{ entries: Entry[] }>('baremetal', `${path}?limit=${flags.limit}`);
        session.output.result(entries, () =>
          entries.length === 0
            ? `${name}: the log is empty.`
            : table(
                ['entry', 'time', 'severity', 'source', 'what happened'],
                entries.map(({ id, at: time, severity, source, text }) => [id, time, severity, source, text]),
              ),
        );
        if (flags.clear) {
          await cloud.request('DELETE', 'baremetal', path);
          session.output.progress(`The event log of ${name} was cleared.`);
        }
        return undefined;
      }),
    );

  node
    .command('inventory')
    .argument('<node>', 'name or uuid')
    .description('who made the machine and its parts, with serial numbers, as the BMC keeps them')
    .action(
      action(async (session, name: string) => {
        const cloud = await session.cloud();
        const found = await cloud.get<Inventory>('baremetal', `${at(name)}/bmc/inventory`);
        session.output.result(found, () => [
          ...fields([
            ['manufacturer', found.manufacturer],
            ['model', found.model],
            ['serial', found.serial],
            ['asset tag', found.assetTag],
            ['uuid', found.uuid],
          ]),
          ...(found.parts.length === 0
            ? []
            : table(
                ['part', 'kind', 'manufacturer', 'model', 'serial', 'part number'],
                found.parts.map((one) => [one.name, one.kind, one.manufacturer, one.model, one.serial, one.part]),
              )),
          ...found.faults.map((text) => `not read: ${text}`),
        ]);
        return undefined;
      }),
    );

  const lights = { on: 'on', off: 'off', blink: 'blinking' } as const;
  node
    .command('identify')
    .argument('<node>', 'name or uuid')
    .argument('[light]', `${Object.keys(lights).join(', ')}; left out: show it`)
    .description('the light by which a person finds the machine')
    .action(
      action(async (session, name: string, light: string | undefined) => {
        const cloud = await session.cloud();
        const path = `${at(name)}/management/indicators/identify@chassis`;
        if (light !== undefined) {
          const state = (lights as Record<string, string | undefined>)[light];
          if (!state) throw fault('usage', { reason: `“${light}” is none of ${Object.keys(lights).join(', ')}.` });
          await cloud.request('PUT', 'baremetal', path, { body: { state } });
        }
        const { state } = await cloud.get<{ state: string }>('baremetal', path);
        session.output.result({ node: name, state }, () => `${name}: its light is ${state}`);
        return undefined;
      }),
    );
}
