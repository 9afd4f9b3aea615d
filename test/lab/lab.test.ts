import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bootsTo,
  type Lab,
  type LabNode,
  labCommand,
  labConsole,
  labDown,
  labExec,
  labLayout,
  labNetns,
  labNetworkUp,
  labStatus,
  labUp,
  machineSpeed,
  probeGuests,
} from '../../services/lab/index.ts';

/** The lab against its real peers: ipmitool speaks to ipmi_sim, ipmi_sim to the owner of the machines, and QEMU runs real firmware. */

const scratch = mkdtempSync(join(tmpdir(), 'uc-lab-'));
const stateDir = join(scratch, 'state');
let speed = 1;
const started = performance.now();
const report: string[] = [];
const note = (what: string) => report.push(`${((performance.now() - started) / 1000).toFixed(1)} s  ${what}`);

/** ipmitool beside the BMC, with the lab's credentials. Suite 3 is the best that ipmi_sim knows. Resolves to what it prints. */
function ipmi(of: string, node: LabNode, ...words: string[]): string {
  const [program, ...rest] = labCommand(of, ipmitool(node, ...words));
  return execFileSync(program, rest, {
    encoding: 'utf8',
    timeout: 60_000 * speed,
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

const ipmitool = ({ bmc }: LabNode, ...words: string[]): string[] => [
  ...['ipmitool', '-I', 'lanplus', '-C', '3', '-R', '10', '-H', bmc.address, '-p', String(bmc.port)],
  ...['-U', bmc.user, '-P', bmc.password, ...words],
];

/** What the node says on its console from `from` on, once it has said all of `texts`. Fails at a deadline that grows with the machine's slowness. */
async function hears(node: string, texts: string[], from = 0): Promise<string> {
  const log = labLayout(stateDir).node(node).consoleLog;
  const leave = new AbortController();
  const missing = () => {
    const said = existsSync(log) ? readFileSync(log).subarray(from).toString('latin1') : '';
    return { said, missing: texts.filter((text) => !said.includes(text)) };
  };
  const signal = AbortSignal.any([leave.signal, AbortSignal.timeout(90_000 * speed)]);
  // The live console says when to look; the log is what counts.
  const output = new Writable({
    write(_chunk, _encoding, done) {
      if (missing().missing.length === 0) leave.abort();
      done();
    },
  });
  await labConsole({ stateDir, node, input: new Readable({ read() {} }), output, signal });
  const { said, missing: still } = missing();
  expect(still, `${node} said: ${said.slice(-2000)}`).toEqual([]);
  return said;
}

const consoleSize = (node: string): number => statSync(labLayout(stateDir).node(node).consoleLog).size;

function alive(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Processes of the lab of `of`, whoever is their parent: all of them name its run directory. */
function processesOf(of: string): string[] {
  const { run } = labLayout(of);
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && alive(Number(entry)))
    .map((entry) => {
      try {
        return `${entry} ${readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(`${run}/`));
}

function expectNothingLeft(of: string): void {
  expect(processesOf(of)).toEqual([]);
  expect(existsSync(labNetns(of).file)).toBe(false);
  expect(existsSync(labLayout(of).run)).toBe(false);
  expect(existsSync(labLayout(of).directory)).toBe(false);
}

let lab: Lab;
let bios: LabNode;
let uefi: LabNode;

beforeAll(async () => {
  speed = await machineSpeed();
  lab = await labUp({
    stateDir,
    nodes: 2,
    shape: { memoryMb: 512 },
    shapes: [{ firmware: 'bios' }, { firmware: 'uefi' }],
  });
  [bios, uefi] = [lab.nodes[0]!, lab.nodes[1]!];
  note('up with two nodes');
});

afterAll(async () => {
  await labDown({ stateDir });
  rmSync(scratch, { recursive: true, force: true });
  console.log(report.join('\n'));
});

describe('a raised lab', () => {
  test('has its nodes off, its addresses on the bridge and its enrolment file for root alone', async () => {
    expect(labStatus(stateDir)?.nodes.map((node) => [node.node.firmware, node.power, node.bootDevice])).toEqual([
      ['bios', 'off', 'pxe'],
      ['uefi', 'off', 'pxe'],
    ]);
    const [program, ...rest] = labCommand(stateDir, ['ip', '-br', '-4', 'addr', 'show', 'br0']);
    expect(execFileSync(program, rest, { encoding: 'utf8' })).toMatch(/192\.0\.2\.1\/24 169\.254\.169\.254\/32/);
    expect(statSync(lab.instackenv).mode & 0o777).toBe(0o600);
    const enrolment = JSON.parse(readFileSync(lab.instackenv, 'utf8'));
    expect(enrolment.nodes).toHaveLength(2);
    expect(enrolment.nodes[1]).toMatchObject({
      pm_type: 'ipmi',
      pm_addr: '127.1.0.2',
      ports: [{ address: uefi.mac }],
      capabilities: 'boot_mode:uefi',
    });
    expect(await labExec(stateDir, ['sh', '-c', 'exit 3'], 'ignore')).toBe(3);
    expect(existsSync('/sys/class/net/br0')).toBe(false);
  });

  test('refuses a wrong BMC password and a device that the machine lacks', () => {
    const stranger = { ...bios, bmc: { ...bios.bmc, password: 'not-the-password' } };
    expect(() => ipmi(stateDir, stranger, 'power', 'status')).toThrow(/RAKP|session/);
    // Boot flags with device selector CD (IPMI 2.0 table 28-14); ipmitool's own `bootdev cdrom` ends with 0 even when refused.
    expect(() => ipmi(stateDir, bios, 'raw', '0', '8', '5', '0x80', '0x14', '0', '0', '0')).toThrow(/rsp=/);
    expect(labStatus(stateDir)?.nodes[0]?.bootDevice).toBe('pxe');
    expect(() => ipmi(stateDir, bios, 'power', 'reset')).toThrow(/failed/);
  });
});

describe('machines by their BMCs', () => {
  test('power on, and firmware speaks on the console of each', async () => {
    expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is off');
    for (const node of [bios, uefi]) {
      ipmi(stateDir, node, 'power', 'on');
      expect(ipmi(stateDir, node, 'power', 'status')).toContain('is on');
      expect(ipmi(stateDir, node, 'mc', 'guid')).toContain(node.uuid);
    }
    // Both load iPXE from the card's ROM and try the provisioning link with their own MAC.
    await hears('node-1', ['SeaBIOS', 'iPXE', bios.mac]);
    note('BIOS node in iPXE');
    await hears('node-2', ['iPXE', uefi.mac]);
    note('UEFI node in iPXE');
    const running = labStatus(stateDir)?.nodes ?? [];
    for (const node of running) {
      expect(alive(node.pid)).toBe(true);
      expect(node.cpuSeconds).toBeGreaterThan(0);
      expect(node.rssMb).toBeGreaterThan(20);
    }
    note(`CPU seconds so far: ${running.map((node) => `${node.node.name} ${node.cpuSeconds}`).join(', ')}`);
  });

  // A blank disk falls through to the network, so the words of the first failure tell what was tried first.
  test.each([
    { at: 0, diskFails: 'Booting from Hard Disk', network: 'Booting from ROM' },
    { at: 1, diskFails: 'failed to load', network: 'iPXE' },
  ])(
    'a boot device chosen at the BMC is what the firmware tries first after a reset (node $at)',
    async ({ at, diskFails, network }) => {
      const node = lab.nodes[at]!;
      const status = () => labStatus(stateDir)?.nodes[at];
      const { pid } = status()!;
      for (const device of ['disk', 'pxe'] as const) {
        ipmi(stateDir, node, 'chassis', 'bootdev', device);
        expect(status()?.bootDevice).toBe(device);
        const from = consoleSize(node.name);
        ipmi(stateDir, node, 'power', 'reset');
        const said = await hears(node.name, device === 'disk' ? [diskFails, network] : [network], from);
        if (device === 'disk') expect(said.indexOf(diskFails)).toBeLessThan(said.indexOf(network));
        else expect(said).not.toContain(diskFails);
        expect(status()?.pid).toBe(pid);
      }
      note(`${node.firmware} node reset to disk and to network`);
    },
  );

  test('serial over LAN carries the same line, and leaves by its own escape', async () => {
    const from = consoleSize('node-1');
    const [program, ...rest] = labCommand(stateDir, [
      'script',
      '-qec',
      ipmitool(bios, 'sol', 'activate').join(' '),
      '/dev/null',
    ]);
    const sol = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    const operational = until(sol, (text) => text.includes('SOL Session operational'));
    const firmware = until(sol, (text) => text.includes('SeaBIOS'));
    sol.stdout.on('data', (data: Buffer) => {
      said += data.toString('latin1');
    });
    await operational;
    ipmi(stateDir, bios, 'power', 'reset');
    await firmware;
    const left = once(sol, 'exit');
    sol.stdin.write('\r~.');
    await left;
    expect(said).toContain('SeaBIOS');
    await hears('node-1', ['SeaBIOS'], from);
    note('serial over LAN');
  });

  test('power cycle starts a new process, power off ends it', async () => {
    const before = labStatus(stateDir)?.nodes[1]?.pid;
    const from = consoleSize('node-2');
    ipmi(stateDir, uefi, 'power', 'cycle');
    await hears('node-2', ['iPXE'], from);
    const after = labStatus(stateDir)?.nodes[1]?.pid;
    expect(after).not.toBe(before);
    expect(alive(before)).toBe(false);
    ipmi(stateDir, uefi, 'power', 'off');
    expect(ipmi(stateDir, uefi, 'power', 'status')).toContain('is off');
    expect(alive(after)).toBe(false);
  });
});

describe('what dies or is asked for twice', () => {
  test('machines outlive their owner, and the next one takes them over', async () => {
    const before = labStatus(stateDir);
    process.kill(before!.ownerPid!, 'SIGKILL');
    const again = await labUp({ stateDir, nodes: 1 });
    const after = labStatus(stateDir);
    expect(again.nodes.map((node) => node.name)).toEqual(['node-1', 'node-2']);
    expect(after?.ownerPid).not.toBe(before?.ownerPid);
    expect(after?.nodes[0]?.pid).toBe(before?.nodes[0]?.pid);
    const from = consoleSize('node-1');
    ipmi(stateDir, bios, 'power', 'reset');
    await hears('node-1', ['SeaBIOS'], from);
    expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is on');
  });

  test('dead BMCs come back by themselves, a dead machine is off', async () => {
    const { bmcPid, nodes } = labStatus(stateDir)!;
    process.kill(bmcPid!, 'SIGKILL');
    process.kill(nodes[0]!.pid!, 'SIGKILL');
    // ipmitool repeats its question until somebody answers.
    expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is off');
    expect(labStatus(stateDir)?.bmcPid).not.toBe(bmcPid);
    ipmi(stateDir, bios, 'power', 'on');
    expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is on');
  });

  test('asking for more adds nodes and leaves the running one alone', async () => {
    const pid = labStatus(stateDir)?.nodes[0]?.pid;
    const more = await labUp({ stateDir, nodes: 3, shape: { memoryMb: 512 } });
    expect(more.nodes.slice(0, 2)).toEqual(lab.nodes);
    expect(ipmi(stateDir, more.nodes[2]!, 'power', 'status')).toContain('is off');
    expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is on');
    expect(labStatus(stateDir)?.nodes[0]?.pid).toBe(pid);
  });

  test('a second lab stands beside the first, with the same addresses and other secrets', async () => {
    const other = join(scratch, 'other');
    try {
      const second = await labUp({ stateDir: other, nodes: 1, shape: { memoryMb: 256 } });
      expect(second.netns.name).not.toBe(lab.netns.name);
      expect(second.nodes[0]!.bmc.address).toBe(bios.bmc.address);
      expect(second.nodes[0]!.mac).not.toBe(bios.mac);
      expect(ipmi(other, second.nodes[0]!, 'power', 'status')).toContain('is off');
      expect(() => ipmi(other, bios, 'power', 'status')).toThrow(/RAKP|session/);
      expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is on');
    } finally {
      await labDown({ stateDir: other });
    }
    expectNothingLeft(other);
    expect(ipmi(stateDir, bios, 'power', 'status')).toContain('is on');
  });

  test('a raising that is killed anywhere can be repeated, and removed', async () => {
    const half = join(scratch, 'half');
    const module = JSON.stringify(new URL('../../services/lab/index.ts', import.meta.url).href);
    const script = (at: number) => `import { labUp } from ${module};
      let lines = 0;
      const onProgress = () => { lines += 1; if (lines === ${at}) process.kill(process.pid, 'SIGKILL'); };
      await labUp({ stateDir: ${JSON.stringify(half)}, nodes: 2, shape: { memoryMb: 256 }, onProgress });`;
    let lines = 0;
    for (let at = 1; ; at += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script(at)], { stdio: 'inherit' });
      const [code, signal] = await once(child, 'exit');
      lines = at;
      const whole = signal === null;
      if (whole) expect(code).toBe(0);
      // Every other time on top of what the killed one left, else after removing it.
      if (at % 2 === 0) {
        const done = await labUp({ stateDir: half, nodes: 2 });
        expect(ipmi(half, done.nodes[1]!, 'power', 'status')).toContain('is off');
      }
      await labDown({ stateDir: half });
      expectNothingLeft(half);
      if (whole) break;
    }
    expect(lines).toBeGreaterThan(4);
    note(`${lines} killed raisings`);
  });
});

describe('going down', () => {
  test('leaves the bridge to whoever else lives in the namespace, until that one has gone', async () => {
    const shared = join(scratch, 'shared');
    await labNetworkUp(shared);
    const [program, ...rest] = labCommand(shared, ['sh', '-c', 'echo here; read -r _']);
    const guest = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    await until(guest, (text) => text.includes('here'));
    await labUp({ stateDir: shared, nodes: 1, shape: { memoryMb: 256 } });
    expect((await labDown({ stateDir: shared })).leftRunning.map((record) => record.pid)).toEqual([guest.pid]);
    expect(await labExec(shared, ['sh', '-c', 'ip -br link show br0 && ! ip link show tap1'], 'ignore')).toBe(0);
    expect(existsSync(labLayout(shared).directory)).toBe(false);
    const ended = once(guest, 'exit');
    guest.stdin.end();
    await ended;
    expect((await labDown({ stateDir: shared })).leftRunning).toEqual([]);
    expectNothingLeft(shared);
  });

  test('leaves no process, namespace or file, and keeps console logs only when asked', async () => {
    const { ownerPid, bmcPid, nodes } = labStatus(stateDir)!;
    const log = nodes[0]!.consoleLog;
    await labDown({ stateDir, keepConsoleLogs: true });
    expect([ownerPid, bmcPid, ...nodes.map((node) => node.pid)].filter(alive)).toEqual([]);
    expect(readFileSync(log, 'latin1')).toContain('SeaBIOS');
    expect(readdirSync(labLayout(stateDir).node('node-1').directory)).toEqual(['console.log']);
    await labDown({ stateDir });
    expectNothingLeft(stateDir);
    expect(labStatus(stateDir)).toBeUndefined();
    await expect(labExec(stateDir, ['true'])).rejects.toThrow(/lab up/);
    await expect(labConsole({ stateDir, node: 'node-1' })).rejects.toThrow(/lab up/);
    note('down');
  });
});

test('the probe tells a guest that boots from one that does not', async () => {
  const guest = probeGuests()[0]!;
  expect(await bootsTo(guest, 'tcg', 120_000 * speed)).toBe(true);
  note(`probe guest ${guest.what} booted by TCG`);
  expect(await bootsTo({ ...guest, arguments: ['-device', 'no-such-device'] }, 'tcg', 120_000 * speed)).toBe(false);
  expect(await bootsTo({ ...guest, marker: 'never said' }, 'tcg', 500)).toBe(false);
});

/** Resolves when the process has printed what `enough` wants; rejects when it ends before. */
function until(child: ChildProcess, enough: (text: string) => boolean): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      if (enough(text)) resolve();
    });
    child.once('exit', () => reject(new Error(`It ended after printing: ${text}`)));
  });
}
