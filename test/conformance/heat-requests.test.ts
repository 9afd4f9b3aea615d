/**
 * What the stock client asked of a real Heat 19, asked of ours in the same order: status and shape of every answer. The
 * requests and answers were recorded (test/captures/heat/requests.jsonl); ids are replaced by those that ours gave. Where
 * ours differs, it is in one of the two tables, with the reason.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { stackApi } from '../setup/stack-cloud.ts';
import { differences, ids, learn } from './heat-shape.ts';

interface Recorded {
  readonly command: string;
  readonly requests: readonly {
    readonly method: string;
    /** Below the endpoint. */
    readonly path: string;
    readonly body?: unknown;
    readonly status: number;
    readonly reply: unknown;
  }[];
}

const recorded = readFileSync(join(import.meta.dirname, '../captures/heat/requests.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

const theirProject = '3f6fe6434c244067a5c57100527e4276';

/** Other statuses than Heat's: the answer is not compared then. */
const statuses: readonly (readonly [command: RegExp, theirs: number, ours: number, why: string])[] = [
  [/resource type list( --long)?$/, 500, 200, 'Heat asks every service of its catalog, and gives up on dead ones'],
  [/-t bad3\.yaml/, 500, 400, 'a circular dependency is the template’s fault, and is told in full'],
  [/--limit 1/, 500, 200, 'a filter beside a limit is no reason to fail'],
  [/--all-projects|--nested$/, 403, 200, 'an administrator may list all projects here'],
  [/--dry-run --show-nested/, 400, 200, 'an update that adds a nested stack can be previewed here'],
  [/delete -y s$/, 204, 404, 'a stack of another recording'],
  [/cancel slowu/, 200, 400, 'ours has ended by then'],
];

const texts: readonly (readonly [difference: RegExp, why: string])[] = [
  [/stack_user_project_id: null/, 'a project for agents is made when the first of them needs one'],
  [/blocked_on more$/, 'our own word beside Heat’s'],
  [/has description more$/, 'types are described'],
  [/updated_time: null|deletion_time: /, 'a stack that was adopted or rolled back once is not updated by that'],
  [/has character_classes more$/, 'defaults are shown as they were used'],
  [/resource_registry\.file:/, 'Heat enters files that it has read into the registry'],
  [
    /data\.|^\.resources\.\w+\.(resource_data|files|environment|template|resources)/,
    'exported data is read by the one who wrote it',
  ],
  [/curl\]\.output_value/, 'curl_cli is given for each transport that curl can serve'],
  [/outputs\[(data|D)\]\.output_value: null/, 'nothing came yet: null, not an empty map'],
  [/sd-cfn_signal .*output_value: null/, 'its signal went to the CFN endpoint, which is tested with it'],
  [
    /attributes(\.| has|: has)/,
    'attributes of a deployment are its outputs; the record is under software deployment show',
  ],
  [/failing-g.*empty|^\.resources: empty/, 'what was not begun when the first failure came has nothing to list'],
  [/NestedParameters: has 1 more$/, 'each member of a group is told of, not one for all'],
  [/resources\[t\]\.properties\.value: null/, 'what is not known yet is null, not what the function’s stand-in says'],
  [/updated\[t\]: has nested_stack_id more$/, 'what it gets from another resource stays as it is, and ours looks'],
  [/^\.stacks\[/, 'stacks of other recordings'],
];

const anonymous = /no token/;

it('answers every recorded request as Heat does', async () => {
  const { url, token, project } = await stackApi();
  const known = new Map([[theirProject, project]]);
  const ours = (text: string): string => text.replace(ids, (id) => known.get(id) ?? id);
  const ask = async (
    path: string,
    { method = 'GET', body, token: own }: { method?: string; body?: unknown; token?: string },
  ) => {
    const response = await fetch(`${url}/orchestration${ours(path)}`, {
      method,
      headers: {
        ...(own && { 'x-auth-token': own }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: ours(JSON.stringify(body)) }),
    });
    const text = await response.text();
    return { status: response.status, answer: text === '' ? null : (JSON.parse(text) as unknown) };
  };
  const busy = async (): Promise<boolean> => {
    const { answer } = await ask(`/v1/${theirProject}/stacks`, { token });
    const { stacks } = answer as { stacks: { stack_name: string; stack_status: string }[] };
    return stacks.some((one) => one.stack_status.endsWith('IN_PROGRESS'));
  };

  const off: string[] = [];
  let asked = 0;
  for (const { command, requests } of recorded) {
    for (const { method, path, body, status, reply } of requests) {
      const look = async () => {
        const got = await ask(path, { method, body, ...(!anonymous.test(command) && { token }) });
        const other = statuses.find(([of, theirs, own]) => of.test(command) && theirs === status && own === got.status);
        const found = other
          ? []
          : got.status === status
            ? differences(reply, got.answer).filter(
                (one) => !texts.some(([of]) => of.test(one) || of.test(`${command} ${one}`)),
              )
            : [`status ${got.status}, not ${status}: ${JSON.stringify(got.answer)}`];
        return { ...got, found };
      };
      let seen = await look();
      const again = method === 'GET' || (seen.status >= 400 && status < 400);
      // What was begun by the request before may not have come so far yet.
      for (let tries = 0; again && seen.found.length > 0 && tries < 20; tries += 1) {
        await wait(50);
        seen = await look();
      }
      asked += 1;
      learn(known, reply, seen.answer);
      if (seen.found.length > 0) off.push(`${command}\n  ${method} ${path}\n    ${seen.found.join('\n    ')}`);
    }
    if (/--wait|cancel|restore|abandon/.test(command))
      for (let tries = 0; tries < 100 && (await busy()); tries += 1) await wait(20);
  }
  expect(off.join('\n')).toBe('');
  expect(asked).toBeGreaterThan(200);
}, 120_000);
