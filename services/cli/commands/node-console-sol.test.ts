/** The console all the way: a real terminal, the API, an RMCP+ session, serial over LAN of a virtual BMC; and a stranger on the same BMC. */
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Appliance, createAppliance } from '../../../test/setup/appliance.ts';
import { openPty, type Pty } from '../../../test/setup/pty.ts';
import { serveVirtualBmcs, type VirtualBmcs } from '../../lab/index.ts';
import { exitCodes } from '../exit.ts';

const program = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../undercloud.ts'),
];

describe('a console by serial over LAN', { timeout: 120_000 }, () => {
  let site: Appliance;
  let bmcs: VirtualBmcs;
  let typed = '';
  let heard = () => {};
  let name = '';
  let uuid = '';
  let count = 0;
  beforeAll(async () => {
    site = await createAppliance();
    return () => site.close();
  });
  beforeEach(async () => {
    typed = '';
    bmcs = await serveVirtualBmcs({
      count: 1,
      onInput(data) {
        typed += data.toString();
        bmcs.bmcs[0]!.machine.console.feed(data);
        heard();
      },
    });
    const { port } = bmcs;
    const info = { ipmi_address: bmcs.addresses[0]!, ipmi_port: port, ipmi_username: 'admin', ipmi_password: 'secret' };
    count += 1;
    name = `sol-${count}`;
    ({ uuid } = await site.baremetal.createNode(site.world.context, { name, driver: 'ipmi', driverInfo: info }));
    onTestFinished(() => bmcs.close());
  });
  const open = (args: readonly string[]): Pty => {
    const pty = openPty(args, { env: site.environment, cwd: site.dir });
    onTestFinished(async () => {
      pty.kill('SIGTERM');
      await pty.ended.catch(() => {});
    });
    return pty;
  };
  const console = (...flags: string[]) => open([...program, 'node', 'console', name, ...flags]);
  const ipmitool = (word: string) => {
    const target = ['-H', bmcs.addresses[0]!, '-p', String(bmcs.port), '-U', 'admin', '-P', 'secret'];
    return open(['/usr/bin/ipmitool', '-I', 'lanplus', '-C', '17', ...target, 'sol', word]);
  };
  const types = async (text: string) => {
    while (!typed.includes(text)) await new Promise<void>((resolve) => (heard = resolve));
  };

  it('carries keys to the machine and what it says back, in order', async () => {
    const pty = console();
    await pty.says('You write.');
    const text = Array.from({ length: 200 }, (_, line) => `line ${line}`).join('\r');
    pty.type(text);
    await types('line 199');
    expect(typed).toBe(text);
    bmcs.bmcs[0]!.machine.console.feed(`${'z'.repeat(20_000)}\r\nall of it`);
    await pty.says('all of it');
    expect(pty.screen.split('z').length - 1).toBe(20_000);
    pty.type('\r~.');
    expect(await pty.ended).toMatchObject({ code: 0, restored: true });
  });

  it('says who is in the way, and takes the console over when told', async () => {
    const stranger = ipmitool('activate');
    await stranger.says('SOL Session operational');
    const refused = console();
    await refused.says(/is in use: another program holds it at the BMC\..*--take-over/);
    expect(await refused.ended).toMatchObject({ code: exitCodes.failed, restored: true });
    const pty = console('--take-over');
    await pty.says('You write.');
    pty.type('mine now');
    await types('mine now');
    const told = await site.world.heard(
      'node.console',
      ({ subject, data }) => subject.id === uuid && data.state === 'taken over',
    );
    expect(told.data.by).toMatch(/@/);
  });

  it('comes back by itself with a note when the BMC has lost its sessions', async () => {
    const pty = console();
    await pty.says('You write.');
    pty.type('before');
    await pty.says('before');
    bmcs.bmcs[0]!.restart();
    // Somebody types into the silence; that the BMC has forgotten us shows at once or after the last repetition.
    pty.type('lost');
    await pty.says('The console was lost');
    await pty.says('The console is open again.');
    pty.type('after');
    await pty.says('after');
    const { stdout } = await site.run('undercloud', 'node', 'timeline', name);
    expect(stdout).toMatch(/console lost: .*\n[\s\S]*console open/);
  });

  it('bears a bad network: every character once, in order', async () => {
    Object.assign(bmcs.bmcs[0]!.faults, {
      loss: 0.05,
      duplicate: 0.2,
      reorder: 0.2,
      noise: 0.2,
      stale: 0.2,
      corrupt: 0.02,
    });
    const pty = console();
    await pty.says('You write.');
    const text = 'the quick brown fox jumps over the lazy dog';
    pty.type(text);
    await types(text);
    await pty.says(text);
    expect(typed).toBe(text);
  });

  it('keeps what the machine says, and nothing that it did not echo', async () => {
    const { console: machine } = bmcs.bmcs[0]!.machine;
    const pty = console();
    await pty.says('You write.');
    machine.feed('host login: root\r\nPassword: ');
    await pty.says('Password: ');
    // The machine keeps this to itself.
    const echo = machine.feed.bind(machine);
    machine.feed = () => {};
    pty.type('swordfish\r');
    await types('swordfish\r');
    machine.feed = echo;
    machine.feed('\r\nLast login: today\r\n');
    await pty.says('Last login');
    const { stdout } = await site.run('undercloud', 'node', 'console', name, '--log');
    expect(stdout).toMatch(/host login: root\n.*Password:\n.*Last login: today/);
    expect(stdout).not.toContain('swordfish');
    expect(JSON.stringify(await site.baremetal.timeline(uuid))).not.toContain('swordfish');
  });
});
