import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { exitCodes } from '../exit.ts';

let serial = 0;
const mac = () => `52:54:00:00:00:${(serial++).toString(16).padStart(2, '0')}`;
const entry = (name: string, more: object = {}) => ({
  name,
  pm_type: 'fake',
  ports: [{ address: mac() }],
  cpu: '2',
  memory: '1024',
  disk: '10',
  arch: 'x86_64',
  ...more,
});

describe('undercloud node', () => {
  let site: Appliance;
  beforeAll(async () => {
    site = await createAppliance();
    return () => site.close();
  });
  const file = (name: string, content: unknown): string => {
    const path = join(site.dir, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it('imports nodes, waits until they are available and tells each step', async () => {
    const ran = await site.run('undercloud', 'node', 'import', file('two.json', { nodes: [entry('a1'), entry('a2')] }));
    expect(ran).toMatchObject({ code: exitCodes.ok });
    expect(ran.stderr).toMatch(/✔ a1: enrolled, available \(\d/);
    expect(ran.stdout).toMatch(/a1 +[0-9a-f-]{36} +available +enrolled/);
    const again = await site.run('undercloud', '--json', 'node', 'list');
    expect(JSON.parse(again.stdout).map((node: { name: string }) => node.name)).toEqual(['a1', 'a2']);
  });

  it('imports the same file again without harm', async () => {
    const path = file('same.json', { nodes: [entry('b1')] });
    await site.run('undercloud', 'node', 'import', path);
    const ran = await site.run('undercloud', 'node', 'import', path, '--json');
    expect(ran.code).toBe(exitCodes.ok);
    expect(JSON.parse(ran.stdout)).toMatchObject([{ name: 'b1', action: 'keep', state: 'available', error: null }]);
  });

  it('refuses a duplicate MAC with the place, and leaves nothing behind', async () => {
    const address = mac();
    const nodes = [entry('c1', { ports: [{ address }] }), entry('c2', { ports: [{ address }] })];
    const ran = await site.run('undercloud', 'node', 'import', file('twice.json', { nodes }));
    expect(ran.code).toBe(exitCodes.usage);
    expect(ran.stderr).toContain(`node 2 (“c2”): its MAC ${address} is also that of node 1 (“c1”)`);
    expect((await site.run('undercloud', 'node', 'list')).stdout).not.toMatch(/^c1 /m);
  });

  it.each([
    ['nothing.json', null, /nothing\.json cannot be read: there is no such file/],
    ['broken.json', '{"nodes": [\n  {"name": }\n]}', /broken\.json:2:\d+: /],
    ['list.json', '[]', /it has no list “nodes”/],
  ])('tells what is wrong with %s', async (name, content, sentence) => {
    if (content !== null) file(name, content);
    const ran = await site.run('undercloud', 'node', 'import', join(site.dir, name));
    expect(ran.code).toBe(exitCodes.usage);
    expect(ran.stderr).toMatch(sentence);
    expect(ran.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('ends with the sentence of a BMC that does not answer, and the node is not there', async () => {
    const uuid = '11111111-2222-4333-8444-555555555555';
    site.fakes.machine(uuid).failing = 'nobody answers at 192.0.2.99.';
    const nodes = [entry('d1'), entry('d2', { uuid })];
    const ran = await site.run('undercloud', 'node', 'import', file('dead.json', { nodes }));
    expect(ran.code).toBe(exitCodes.failed);
    expect(ran.stderr).toContain('1 of 2 nodes could not be enrolled');
    expect(ran.stderr).toContain('nobody answers at 192.0.2.99.');
    const list = (await site.run('undercloud', 'node', 'list')).stdout;
    expect(list).toMatch(/^d1 /m);
    expect(list).not.toMatch(/^d2 /m);
  });

  it('stops watching at Ctrl-C and says that the work goes on', async () => {
    const uuid = '21111111-2222-4333-8444-555555555555';
    site.fakes.machine(uuid).failing = 'nobody answers.';
    const running = site.start('undercloud', 'node', 'import', file('slow.json', { nodes: [entry('e1', { uuid })] }));
    await running.says('e1');
    running.interrupt();
    const ran = await running.ended;
    // It may have failed for good in the same instant.
    if (ran.code !== exitCodes.failed) {
      expect(ran.code).toBe(exitCodes.interrupted);
      expect(ran.stderr).toContain('Stopped watching. The import goes on in the undercloud');
    }
  });

  it('goes on watching while the undercloud is away for a moment', async () => {
    const path = file('steady.json', { nodes: [entry('f1')] });
    await site.run('undercloud', 'node', 'import', path);
    const follow = site.start('undercloud', 'node', 'timeline', 'f1', '--follow');
    await follow.says('enrolled with driver');
    await site.away();
    await follow.says('Trying again for 60 s.');
    await site.back();
    await follow.says('The undercloud answers again.');
    follow.interrupt();
    expect((await follow.ended).stdout).toContain('enrolled with driver fake-hardware');
  });

  it('switches power, sets the boot device and tells what happened', async () => {
    await site.run('undercloud', 'node', 'import', file('power.json', { nodes: [entry('g1')] }));
    const on = await site.run('undercloud', 'node', 'power', 'g1', 'on');
    expect(on).toMatchObject({ code: exitCodes.ok, stdout: expect.stringContaining('power on') });
    const device = await site.run('undercloud', 'node', 'boot-device', 'g1', 'disk', '--persistent');
    expect(device.stdout).toContain('boot device set to disk for good');
    expect((await site.run('undercloud', 'node', 'boot-device', 'g1')).stdout).toContain('g1: disk, for good');
    const off = await site.run('undercloud', 'node', 'power', 'g1', 'off', '--json');
    expect(JSON.parse(off.stdout)).toMatchObject({ node: 'g1', power: 'power off' });
    const { stdout } = await site.run('undercloud', 'node', 'timeline', 'g1');
    expect(stdout).toContain('enrolled with driver fake-hardware');
    expect(stdout).toMatch(/enroll → verifying/);
    expect(stdout).toContain('power on');
    expect(stdout).not.toContain('undefined');
  });

  it('ends with the BMC’s sentence when power cannot be changed', async () => {
    await site.run('undercloud', 'node', 'import', file('stuck.json', { nodes: [entry('h1')] }));
    const { uuid } = await site.baremetal.findNode(site.world.context, 'h1');
    site.fakes.machine(uuid).failing = 'its cable is out.';
    const ran = await site.run('undercloud', 'node', 'power', 'h1', 'on');
    expect(ran.code).not.toBe(exitCodes.ok);
    expect(ran.stderr).toContain('its cable is out.');
  });

  it('sets maintenance and forgets nodes', async () => {
    await site.run('undercloud', 'node', 'import', file('gone.json', { nodes: [entry('i1')] }));
    await site.run('undercloud', 'node', 'maintenance', 'i1', 'on', '--reason', 'new disk');
    expect((await site.run('undercloud', 'node', 'show', 'i1')).stdout).toMatch(/maintenance +new disk/);
    await site.run('undercloud', 'node', 'maintenance', 'i1', 'off');
    const ran = await site.run('undercloud', 'node', 'delete', 'i1', 'nobody');
    expect(ran.code).toBe(exitCodes.failed);
    expect(ran.stderr).toContain('✔ i1: deleted');
    expect(ran.stderr).toContain('✘ nobody: Node nobody could not be found.');
    expect((await site.run('undercloud', 'node', 'show', 'i1')).stderr).toContain('Node i1 could not be found.');
  });

  it('uses the command line’s exit code for nonsense', async () => {
    expect((await site.run('undercloud', 'node', 'power', 'a1', 'sideways')).code).toBe(exitCodes.usage);
    expect((await site.run('undercloud', 'node', 'nonsense')).code).toBe(exitCodes.usage);
    expect((await site.run('undercloud', 'node', '--help')).code).toBe(exitCodes.ok);
  });
});
