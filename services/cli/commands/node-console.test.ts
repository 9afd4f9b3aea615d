/** The console as an operator has it: the real command in a real terminal, over the real API, on a machine that echoes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { openPty, type Pty } from '../../../test/setup/pty.ts';
import { exitCodes } from '../exit.ts';
import { momentOf } from './node-console.ts';

const program = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../undercloud.ts'),
];

describe('undercloud node console', { timeout: 120_000 }, () => {
  let site: Appliance;
  let uuid = '';
  const open: Pty[] = [];
  beforeAll(async () => {
    site = await createAppliance();
    const file = join(site.dir, 'nodes.json');
    const ports = [{ address: '52:54:00:00:01:01' }];
    writeFileSync(
      file,
      JSON.stringify({ nodes: [{ name: 'n1', pm_type: 'fake', ports, cpu: '1', memory: '1024', disk: '10' }] }),
    );
    await site.run('undercloud', 'node', 'import', file);
    uuid = (await site.baremetal.findNode(site.world.context, 'n1')).uuid;
    return () => site.close();
  });
  afterEach(async () => {
    for (const pty of open.splice(0)) {
      pty.kill('SIGTERM');
      await pty.ended.catch(() => {});
    }
  });
  function terminal(...args: string[]): Pty {
    const pty = openPty([...program, 'node', 'console', 'n1', ...args], { env: site.environment, cwd: site.dir });
    open.push(pty);
    return pty;
  }

  it('carries keys there and the echo back, helps, and leaves the terminal as it was', async () => {
    const pty = terminal();
    await pty.says('n1: ~. after a new line leaves');
    await pty.says('You write.');
    pty.type('echo ~ hello\r');
    await pty.says('echo ~ hello');
    pty.type('~?');
    await pty.says('~w  take the writer’s place');
    // Ctrl-C is the machine's.
    pty.type('\x03after');
    await pty.says('\x03after');
    pty.type('\r~.');
    const { code, restored } = await pty.ended;
    expect({ code, restored }).toEqual({ code: exitCodes.ok, restored: true });
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('leaves the terminal as it was after %s', async (signal) => {
    const pty = terminal();
    await pty.says('You write.');
    pty.kill(signal);
    const { code, restored } = await pty.ended;
    expect({ code, restored }).toEqual({ code: signal === 'SIGTERM' ? 143 : 129, restored: true });
  });

  it('has one writer; who watches sees all, is told who writes, and takes the place when asked', async () => {
    const ada = terminal();
    await ada.says('You write.');
    const bob = terminal('--watch');
    await bob.says(/\S+@\S+ writes; you watch\./);
    const third = terminal();
    await third.says('writes; you watch.');
    ada.type('secret plan\r');
    await bob.says('secret plan');
    third.type('x');
    await third.says(/Not typed: \S+ writes here\./);
    bob.type('not sent');
    ada.widen();
    await bob.says('132 × 50');
    expect(ada.screen).not.toContain('not sent');
    bob.type('\r~w');
    await bob.says('You write now');
    await ada.says('took the writer’s place; you watch.');
    bob.type('now bob\r');
    await ada.says('now bob');
    bob.type('~r');
    await ada.says('stty rows 40 cols 100');
    bob.type('\r~W');
    await bob.says('Nobody writes; you watch.');
    // A watcher's Ctrl-C leaves.
    bob.type('\x03');
    expect(await bob.ended).toMatchObject({ code: 0, restored: true });
    const taker = terminal('--take-over');
    await taker.says('You write.');
    await third.says('writes; you watch.');
  });

  it('goes on with a note when the undercloud was away, and when the BMC was', async () => {
    const pty = terminal();
    await pty.says('You write.');
    await site.away();
    await pty.says('Trying again.');
    await site.back();
    await pty.says('You write.');
    pty.type('still here\r');
    await pty.says('still here');
    const bmc = await site.baremetal.bmcOf(uuid);
    // Somebody else takes the console at the BMC.
    const other = await bmc.console!.open({ onData: () => {}, steal: true });
    await pty.says('The console was lost');
    const refused = await site.run('undercloud', 'node', 'console', 'n1', '--watch');
    expect(refused.stderr).toContain('is in use');
    expect(refused.stderr).toContain('--take-over');
    expect(refused.code).toBe(exitCodes.failed);
    pty.type('\r~t');
    await pty.says('The console is open again.');
    pty.type('mine\r');
    await pty.says('mine');
    await other.close();
    pty.type('~.');
    expect(await pty.ended).toMatchObject({ code: 0, restored: true });
  });

  it('records what the machine says, finds it again, and names its place in the timeline', async () => {
    const pty = terminal();
    await pty.says('You write.');
    pty.type('[ 3.1] Kernel panic - not syncing: Attempted to kill init!\r\n');
    await pty.says('kill init');
    await site.world.heard('node.console-milestone');
    pty.type('\r~.');
    await pty.ended;
    const found = await site.run(
      'undercloud',
      'node',
      'console',
      'n1',
      '--log',
      '--search',
      'KERNEL PANIC',
      '--since',
      '10m',
    );
    expect(found.stdout).toMatch(/^\d{4}-\S+Z {2}\[ 3\.1\] Kernel panic - not syncing: Attempted to kill init!\n$/);
    const { stdout } = await site.run('undercloud', 'node', 'timeline', 'n1');
    const [, offset] = /console: kernel-panic \(fault\): .*\(log offset (\d+)\)/.exec(stdout) ?? [];
    expect(stdout).toMatch(/console open by \S+@\S+/);
    const from = await site.run(
      'undercloud',
      'node',
      'console',
      'n1',
      '--log',
      '--from',
      offset!,
      '--limit',
      '1',
      '--json',
    );
    expect(JSON.parse(from.stdout).lines[0]).toMatchObject({
      offset: Number(offset),
      text: expect.stringContaining('Kernel panic'),
    });
    const none = await site.run('undercloud', 'node', 'console', 'n1', '--log', '--search', 'no such words');
    expect(none.stdout).toContain('No line of the log is like that.');
  });

  it.each([
    [['--search', 'x'], /--search belongs to --log/],
    [['--log', '--watch'], /for a live console/],
    [['--log', '--since', 'yesterday-ish'], /--since is a time/],
    [['--log', '--from', '-1'], /--from/],
    [['--json'], /no JSON/],
  ])('refuses %s', async (args, sentence) => {
    const ran = await site.run('undercloud', 'node', 'console', 'n1', ...args);
    expect(ran.code).toBe(exitCodes.usage);
    expect(ran.stderr).toMatch(sentence);
  });

  it('says that there is no such node', async () => {
    const ran = await site.run('undercloud', 'node', 'console', 'nobody');
    expect(ran.code).toBe(exitCodes.failed);
    expect(ran.stderr).toContain('Node nobody could not be found.');
  });
});

describe('times', () => {
  it('reads ages and dates', () => {
    const now = Date.parse('2026-11-21T03:00:00Z');
    expect(momentOf('--since', '10m', now)).toBe('2026-11-21T02:50:00.000Z');
    expect(momentOf('--since', '2026-11-20', now)).toBe('2026-11-20T00:00:00.000Z');
  });
});
