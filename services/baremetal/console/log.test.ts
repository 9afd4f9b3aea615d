import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../core/clock.ts';
import { ConsoleLog } from './log.ts';
import { readLog, tailOf } from './log-read.ts';
import { MilestoneReader, milestoneOf } from './milestones.ts';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function place(): string {
  const directory = mkdtempSync(join(tmpdir(), 'uc-console-'));
  made.push(directory);
  return join(directory, 'node');
}

let now = Date.parse('2026-11-21T03:00:00Z');
const clock: Clock = { now: () => now, after: () => () => {} };
const open = (directory: string, mostBytes = 65_536) => new ConsoleLog({ directory, mostBytes, clock });
const texts = async (directory: string, query: Partial<Parameters<typeof readLog>[1]> = {}) =>
  (await readLog(directory, { limit: 100, ...query })).lines.map(({ text }) => text);

describe('a console’s log', () => {
  it('keeps lines with the time and the place of each, without control sequences', async () => {
    const directory = place();
    const log = open(directory);
    log.append(Buffer.from('\x1b[2J\x1b[1;32mSeaBIOS (version 1.16)\x1b[0m\r\n'));
    await log.flush();
    now += 5_000;
    log.append(Buffer.from('Booting from '));
    log.append(Buffer.from('disk\r\n\r\nhost login: '));
    await log.flush();
    const page = await readLog(directory, { limit: 10 });
    expect(page.lines).toEqual([
      { offset: 0, at: now - 5_000, text: 'SeaBIOS (version 1.16)' },
      { offset: 39, at: now, text: 'Booting from disk' },
      { offset: 60, at: now, text: 'host login:' },
    ]);
    expect(page).toMatchObject({ first: 0, end: log.end, next: null });
    expect(await texts(directory, { search: 'BOOTING' })).toEqual(['Booting from disk']);
    expect(await texts(directory, { since: now })).toEqual(['Booting from disk', 'host login:']);
    expect(await texts(directory, { until: now - 1 })).toEqual(['SeaBIOS (version 1.16)']);
    expect(await texts(directory, { from: 39, limit: 1 })).toEqual(['Booting from disk']);
    expect((await tailOf(directory, 7, log.end)).toString()).toBe('login: ');
    expect((await tailOf(directory, 5, 56)).toString()).toBe(' disk');
  });

  it('is bounded: the oldest goes, offsets stay, and a restart goes on', async () => {
    const directory = place();
    let log = open(directory, 16_384);
    for (let line = 0; line < 1_000; line++) {
      log.append(Buffer.from(`${String(line).padStart(62)}\n`));
      await log.flush();
      if (line === 500) log = open(directory, 16_384);
    }
    expect(log.end).toBe(63_000);
    const page = await readLog(directory, { limit: 10_000 });
    expect(page.lines.at(-1)).toMatchObject({ offset: 63_000 - 63, text: '999'.padStart(62) });
    expect(page.end - page.first).toBeLessThanOrEqual(16_384);
    expect(page.end - page.first).toBeGreaterThan(8_192);
    for (const { offset, text } of page.lines.slice(1)) expect(Number(text) * 63).toBe(offset);
    expect((await readLog(directory, { from: 0, limit: 2 })).next).toBeGreaterThan(page.first);
  });

  it('bears what a kill leaves behind: half an index entry, a file that is no log', async () => {
    const directory = place();
    const log = open(directory);
    log.append(Buffer.from('one\n'));
    await log.flush();
    const index = readdirSync(directory).find((name) => name.endsWith('.idx'))!;
    appendFileSync(join(directory, index), 'torn');
    appendFileSync(join(directory, 'notes.txt'), 'not mine');
    const second = open(directory);
    second.append(Buffer.from('two\n'));
    await second.flush();
    expect((await readLog(directory, { limit: 9 })).lines).toEqual([
      { offset: 0, at: now, text: 'one' },
      { offset: 4, at: now, text: 'two' },
    ]);
    expect(await texts(join(directory, 'nothing-here'))).toEqual([]);
  });

  it('says once that the disk refuses, and goes on', async () => {
    const errors: string[] = [];
    const log = new ConsoleLog({
      directory: '/dev/null/console',
      mostBytes: 65_536,
      clock,
      onError: (error) => errors.push(error.message),
    });
    for (let i = 0; i < 5; i++) {
      log.append(Buffer.alloc(1_000_000, 0x78));
      await log.flush();
    }
    expect(errors).toHaveLength(1);
  });
});

describe('milestones', () => {
  it.each([
    ['[    3.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)', 'kernel-panic'],
    ['BUG: unable to handle page fault for address: 0000', 'kernel-oops'],
    ['SeaBIOS (version 1.16.2-debian-1.16.2-1)', 'firmware'],
    ['BdsDxe: loading Boot0001 "UEFI PXEv4"', 'firmware'],
    ['iPXE 1.21.1+git -- Open Source Network Boot Firmware', 'ipxe'],
    ['No more network devices', 'network-boot-failed'],
    ['[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@…)', 'kernel'],
    ['blk_update_request: I/O error, dev sda, sector 0', 'disk-error'],
    ['[   12.5] reboot: Power down', 'system-down'],
  ])('recognises %s', (line, name) => {
    expect(milestoneOf(line)?.name).toBe(name);
  });

  it('finds each once, wherever the stream is cut, and a prompt without its newline', () => {
    const text = 'noise\r\n\x1b[1mKernel panic - not syncing: x\x1b[0m\r\nmore\r\nnode-1 login: ';
    for (let cut = 0; cut <= text.length; cut++) {
      const reader = new MilestoneReader();
      const found = [
        ...reader.read(Buffer.from(text.slice(0, cut)), 100),
        ...reader.read(Buffer.from(text.slice(cut)), 100 + cut),
      ];
      expect(found.map(({ milestone, offset, text: line }) => [milestone.name, offset, line])).toEqual([
        ['kernel-panic', 107, 'Kernel panic - not syncing: x'],
        ['login-prompt', 100 + text.indexOf('node-1'), 'node-1 login:'],
      ]);
    }
  });

  it('bears a line without end', () => {
    const reader = new MilestoneReader();
    for (let i = 0; i < 1_000; i++) expect(reader.read(Buffer.alloc(10_000, 0x61), i * 10_000)).toEqual([]);
  });
});
