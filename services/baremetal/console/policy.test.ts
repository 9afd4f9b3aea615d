/** Which consoles are open and recorded although nobody looks. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { handClock } from '../../../test/setup/hand-clock.ts';
import { createWorld, type World } from '../../../test/setup/world.ts';
import { createFakeMachines, createPower } from '../../power/index.ts';
import { type Baremetal, createBaremetal } from '../index.ts';
import type { ConsoleSettings } from './index.ts';

interface Site {
  world: World;
  baremetal: Baremetal;
  uuid: string;
  directory: string;
  pass(ms: number): void;
  says(text: string): void;
  /** How often the console was opened or closed, as the timeline tells it. */
  states(): Promise<string[]>;
}

async function site(settings: ConsoleSettings = {}): Promise<Site> {
  const directory = mkdtempSync(join(tmpdir(), 'uc-consoles-'));
  const { clock, leap: pass } = handClock(Date.now());
  const world = await createWorld({ keep: true, clock });
  const fakes = createFakeMachines();
  const power = createPower(world, { fakes });
  const baremetal = createBaremetal(world, {
    power,
    images: { deployInfo: async () => Promise.reject(new Error('none')) },
    authenticate: 'none',
    consoles: { directory, ...settings },
  });
  onTestFinished(async () => {
    await baremetal.stop();
    await world.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const { uuid } = await baremetal.createNode(world.context, { name: 'n1', driver: 'fake-hardware' });
  await baremetal.start();
  return {
    ...{ world, baremetal, uuid, directory, pass },
    says: (text) => fakes.machine(uuid).console?.onData(Buffer.from(text)),
    async states() {
      await world.recorder.drain();
      const events = await baremetal.timeline(uuid);
      return events.filter(({ kind }) => kind === 'node.console').map(({ data }) => (data as { state: string }).state);
    },
  };
}

const node = (uuid: string) => ({ type: 'node', id: uuid });
const begins = ({ world, uuid }: Site, kind: string) =>
  world.recorder.emit('operation.started', node(uuid), { operation: 'o', kind });
const ends = ({ world, uuid }: Site, kind: string) =>
  world.recorder.emit('operation.succeeded', node(uuid), { operation: 'o', kind });
const opened = ({ world }: Site) => world.heard('node.console', ({ data }) => data.state === 'open');
const closed = ({ world }: Site) => world.heard('node.console', ({ data }) => data.state === 'closed');

describe('recording', () => {
  it('follows a deploy without anybody looking, and what the system says as it starts', async () => {
    const its = await site();
    begins(its, 'baremetal.deploy');
    await opened(its);
    its.says('Linux version 6.1\r\n');
    const { data } = await its.world.heard('node.console-milestone');
    expect(data).toMatchObject({ milestone: 'kernel', level: 'step', offset: 0 });
    ends(its, 'baremetal.deploy');
    its.pass(119_000);
    its.says('n1 login: ');
    expect(await its.states()).toEqual(['open']);
    its.pass(2_000);
    await closed(its);
    expect(existsSync(join(its.directory, its.uuid, '000000000000000.log'))).toBe(true);
  });

  it('goes on where a second operation begins before the first one’s time is over', async () => {
    const its = await site();
    begins(its, 'baremetal.clean');
    await opened(its);
    ends(its, 'baremetal.clean');
    its.pass(100_000);
    begins(its, 'baremetal.deploy');
    its.pass(1_000_000);
    expect(await its.states()).toEqual(['open']);
  });

  it.each([
    ['a power change', {}, 'baremetal.power'],
    ['policy watched', { record: 'watched' }, 'baremetal.deploy'],
    ['policy never', { record: 'never' }, 'baremetal.deploy'],
  ] as const)('leaves the console alone: %s', async (_title, settings, kind) => {
    const its = await site(settings);
    begins(its, kind);
    await its.world.recorder.drain();
    expect(await its.states()).toEqual([]);
  });

  it('keeps named nodes and, with policy always, every node; a deleted node’s log goes with it', async () => {
    const named = await site({ record: 'watched', nodes: ['n1'] });
    await opened(named);
    const all = await site({ record: 'always' });
    await opened(all);
    all.says('hello\r\n');
    const later = await all.baremetal.createNode(all.world.context, { name: 'n2', driver: 'fake-hardware' });
    await all.world.heard('node.console', ({ subject, data }) => subject.id === later.uuid && data.state === 'open');
    await all.baremetal.deleteNode(all.world.context, all.uuid);
    await closed(all);
    await all.baremetal.stop();
    expect(existsSync(join(all.directory, all.uuid))).toBe(false);
  });
});
