/** A stack as it is watched in a real terminal: the tree that is redrawn, Ctrl-C, what is left on the screen; and the same piped. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { openPty, type Pty } from '../../../test/setup/pty.ts';
import { exitCodes } from '../exit.ts';

const program = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../overcloud.ts'),
];
const version = 'heat_template_version: 2021-04-16\n';

describe('a stack in a terminal', { timeout: 60_000 }, () => {
  let site: Appliance;
  const open: Pty[] = [];
  beforeAll(async () => {
    site = await createAppliance({ builds: 'when told' });
    const file = (name: string, text: string) => writeFileSync(join(site.dir, name), version + text);
    file(
      'tree.yaml',
      `resources:
  word: {type: OS::Heat::RandomString, properties: {length: 6}}
  machine: {type: OS::Nova::Server, properties: {image: lab, flavor: baremetal, networks: [{network: ctlplane}]}}
  after: {type: OS::Heat::Value, depends_on: machine, properties: {value: {get_attr: [word, value]}}}
outputs: {word: {value: {get_attr: [after, value]}}}
`,
    );
    file('broken.yaml', 'resources:\n  good: {type: OS::Heat::None}\n  bad: {type: inner.yaml}\n');
    file('inner.yaml', 'resources:\n  worse: {type: OS::Heat::TestResource, properties: {fail: true}}\n');
    return () => site.close();
  });
  afterEach(async () => {
    for (const pty of open.splice(0)) {
      pty.kill('SIGTERM');
      await pty.ended.catch(() => {});
    }
  });
  function terminal(...args: string[]): Pty {
    const pty = openPty([...program, ...args], { env: site.environment, cwd: site.dir });
    open.push(pty);
    return pty;
  }
  const finish = (stack: string) => {
    for (const [id, { name }] of site.stacks.outside.servers) if (name.startsWith(`${stack}-`)) site.stacks.finish(id);
  };

  it('is a tree that is redrawn: what is done, what runs with its wait, what is not begun, and at the end the outputs', async () => {
    const pty = terminal('deploy', 'tree.yaml', '--name', 'live');
    await pty.says(/machine.*waits for/);
    // In place: the cursor goes up and what is below it is erased.
    await pty.says('\x1b[J');
    finish('live');
    const { code, restored, screen } = await pty.ended;
    expect({ code, restored }).toEqual({ code: exitCodes.ok, restored: true });
    const shown = stripVTControlCharacters(screen);
    expect(shown).toMatch(/✔ word +OS::Heat::RandomString +created/);
    expect(shown).toMatch(/[⠋-⠿] machine +OS::Nova::Server +waits for/);
    expect(shown).toMatch(/· after +OS::Heat::Value +waits for machine/);
    expect(shown).toMatch(/✔ live +created \(3 of 3/);
    expect(screen).toMatch(/word +\w{6}\r?\n$/);
  });

  it('tells of a failure with its path, its cause and its place, and ends with 1', async () => {
    const pty = terminal('deploy', 'broken.yaml', '--keep-failed');
    const { code, screen } = await pty.ended;
    expect(code).toBe(exitCodes.failed);
    const shown = stripVTControlCharacters(screen);
    expect(shown).toMatch(/✘ worse +OS::Heat::TestResource +resources\.worse: Test Resource failed worse/);
    expect(shown).toMatch(/resources\.bad\.resources\.worse: Test Resource failed worse \(inner\.yaml:3:3\)/);
    const again = await terminal('status', 'broken').ended;
    expect(again.code).toBe(exitCodes.failed);
    expect(stripVTControlCharacters(again.screen)).toMatch(/✘ bad {2}inner\.yaml/);
  });

  it('ends at Ctrl-C with 130, says that the work goes on, and is watched again', async () => {
    const pty = terminal('deploy', 'tree.yaml', '--name', 'left');
    await pty.says(/machine.*waits for/);
    pty.type('\x03');
    const { code, restored, screen } = await pty.ended;
    expect({ code, restored }).toEqual({ code: exitCodes.interrupted, restored: true });
    expect(screen).toContain(
      'The stack left goes on in the undercloud; `overcloud status left --follow` watches it again.',
    );
    const watching = terminal('status', 'left', '--follow');
    await watching.says(/machine.*waits for/);
    finish('left');
    expect((await watching.ended).code).toBe(exitCodes.ok);
  });

  it('is a line for each change where it is piped, and an object for each with --json', async () => {
    const piped = site.start('overcloud', 'deploy', 'tree.yaml', '--name', 'piped');
    await piped.says('machine: waits for');
    finish('piped');
    const ran = await piped.ended;
    expect(ran.code).toBe(exitCodes.ok);
    expect(ran.stderr).not.toContain('\x1b');
    const lines = ran.stderr.trimEnd().split('\n');
    expect(new Set(lines).size).toBe(lines.length);
    expect(ran.stdout).toMatch(/^word +\w{6}\n$/);
    const told = site.start('overcloud', 'delete', 'piped', '--json');
    const { stdout, stderr, code } = await told.ended;
    expect(code).toBe(exitCodes.ok);
    for (const line of stderr.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('message');
    expect(JSON.parse(stdout)).toMatchObject([{ name: 'piped', deleted: true }]);
  });
});
