import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Lab,
  type LabNode,
  labCommand,
  labDown,
  labFault,
  labLayout,
  labStatus,
  labUp,
  machineSpeed,
} from '../../services/lab/index.ts';
import { openPty } from '../setup/pty.ts';

/** The lab with BMCs of our own in front of real machines: ipmitool with suite 17 is the judge, QEMU's firmware the witness. */

const scratch = mkdtempSync(join(tmpdir(), 'uc-own-'));
const stateDir = join(scratch, 'state');
let speed = 1;
let lab: Lab;
let node: LabNode;

const target = ({ bmc }: LabNode): string[] => [
  ...['ipmitool', '-I', 'lanplus', '-C', '17', '-H', bmc.address, '-p', String(bmc.port)],
  ...['-U', bmc.user, '-P', bmc.password],
];
function ipmi(...words: string[]): string {
  const [program, ...rest] = labCommand(stateDir, [...target(node), ...words]);
  return execFileSync(program, rest, { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}
const logFile = () => labLayout(stateDir).node('node-1').consoleLog;
const said = (from = 0): string =>
  existsSync(logFile()) ? readFileSync(logFile()).subarray(from).toString('latin1') : '';
async function says(text: string, from: number): Promise<string> {
  const until = performance.now() + 90_000 * speed;
  while (!said(from).includes(text)) {
    if (performance.now() > until) throw new Error(`node-1 did not say “${text}”: ${said(from).slice(-500)}`);
    await wait(50);
  }
  return said(from);
}
const firstTried = (text: string): string => (text.indexOf('Booting from Hard Disk') >= 0 ? 'disk' : 'network');

beforeAll(async () => {
  speed = await machineSpeed();
  lab = await labUp({ stateDir, nodes: 2, bmcs: 'own', shape: { memoryMb: 256, firmware: 'bios' } });
  node = lab.nodes[0]!;
});
afterAll(async () => {
  await labDown({ stateDir });
  rmSync(scratch, { recursive: true, force: true });
});

describe('BMCs of our own', () => {
  test('are one process, the owner of the machines, and carry the machines’ own GUIDs', () => {
    const status = labStatus(stateDir);
    expect(status?.bmcs).toBe('own');
    expect(status?.bmcPid).toBe(status?.ownerPid);
    expect(ipmi('mc', 'guid')).toContain(node.uuid);
    expect(ipmi('power', 'status')).toContain('is off');
  });

  test('boot once from a one-shot device: the reset after it goes by the machine’s own order again', async () => {
    ipmi('chassis', 'bootdev', 'disk');
    let from = said().length;
    ipmi('power', 'on');
    expect(ipmi('power', 'status')).toContain('is on');
    expect(firstTried(await says('Booting from ROM', from))).toBe('disk');
    expect(ipmi('chassis', 'bootparam', 'get', '5')).toContain('Boot Flag Invalid');
    from = said().length;
    ipmi('power', 'reset');
    expect(firstTried(await says('Booting from ROM', from))).toBe('network');
  });

  test('boot from a persistent device each time, until they ignore it', async () => {
    ipmi('chassis', 'bootdev', 'disk', 'options=persistent');
    for (const lies of [false, false, true]) {
      if (lies) await labFault(stateDir, 'node-1', ['boot=ignores']);
      const from = said().length;
      ipmi('power', 'cycle');
      expect(firstTried(await says('Booting from ROM', from))).toBe(lies ? 'network' : 'disk');
      expect(ipmi('chassis', 'bootparam', 'get', '5')).toMatch(/Boot Flag Valid[\s\S]*all future boots/);
    }
    expect(labStatus(stateDir)?.nodes[0]?.bmcFaults).toEqual(['boot=ignores']);
    expect(await labFault(stateDir, 'node-1', ['none'])).toEqual([]);
  });

  test('carry the serial line by SOL', async () => {
    const pty = openPty(labCommand(stateDir, [...target(node), 'sol', 'activate']), {
      env: { PATH: process.env.PATH ?? '' },
      cwd: '/',
    });
    await pty.says('SOL Session operational');
    ipmi('power', 'reset');
    await pty.says('SeaBIOS');
    ipmi('sol', 'deactivate');
    pty.kill('SIGTERM');
    await pty.ended;
  });

  test('know of a machine that went off by itself', async () => {
    const pid = labStatus(stateDir)?.nodes[0]?.pid;
    process.kill(pid!, 'SIGKILL');
    while (!ipmi('power', 'status').includes('is off')) await wait(50);
  });

  test('give way to ipmi_sim and take over again while machines run, with faults from a seed', async () => {
    ipmi('power', 'on');
    const pid = labStatus(stateDir)?.nodes[0]?.pid;
    await labUp({ stateDir, nodes: 2, bmcs: 'ipmi_sim', bmcFaults: null });
    expect(labStatus(stateDir)?.bmcs).toBe('ipmi_sim');
    await expect(labFault(stateDir, 'node-1', ['loss=1'])).rejects.toThrow(/lab up --bmc own/);
    await labUp({ stateDir, nodes: 2, bmcs: 'own', bmcFaults: 7 });
    const status = labStatus(stateDir);
    expect(status?.nodes[0]?.pid).toBe(pid);
    expect(status?.nodes.some(({ bmcFaults }) => bmcFaults.length > 0)).toBe(true);
    await labUp({ stateDir, nodes: 2, bmcFaults: null });
    await labFault(stateDir, 'node-1', ['none']);
    expect(ipmi('power', 'status')).toContain('is on');
    // Flags that were persistent have outlived both changes.
    expect(ipmi('chassis', 'bootparam', 'get', '5')).toMatch(/Boot Flag Valid[\s\S]*all future boots/);
  });
});
