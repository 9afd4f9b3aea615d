/** docs/reference/node-states.md, drawn from the table: states.test.ts fails while the page is older than the table. */
import { defaultTargets, provisionEvents, provisionStates, provisionTable, stableStates } from './states.ts';
import { provisionVerbs } from './verbs.ts';

const id = (state: string): string => state.replaceAll(/[ -]/g, '_');

export function statesPage(): string {
  const arrows = provisionStates.flatMap((from) =>
    provisionEvents.flatMap((event) => {
      const to = provisionTable[from][event];
      return to ? [`  ${id(from)} --> ${id(to)}: ${event}`] : [];
    }),
  );
  const rows = provisionStates.map((state) => {
    const verbs = provisionVerbs
      .filter(({ event }) => provisionTable[state][event] !== undefined)
      .map(({ verb, carriedOut }) => (carriedOut ? `\`${verb}\`` : `\`${verb}\` (not in this release)`));
    const kind = stableStates.includes(state) ? 'rests' : `on its way to ${defaultTargets[state]}`;
    return `| ${state} | ${kind} | ${verbs.join(', ') || 'none'} |`;
  });
  return [
    '# Node states',
    '',
    'Drawn from `services/baremetal/states.ts`, whose comment tells the story. States and events are Ironic’s.',
    'To draw it anew: `UPDATE_GOLDEN=1 npx vitest run --project unit services/baremetal/states.test.ts`.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> enroll',
    ...provisionStates.map((state) => `  state "${state}" as ${id(state)}`),
    ...arrows,
    '```',
    '',
    '| state | | verbs that may be asked for |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
