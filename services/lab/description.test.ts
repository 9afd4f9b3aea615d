import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeNode, instackenv, newBmcSecret, readDescription } from './description.ts';
import { labLayout } from './layout.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'uc-lab-description-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const secret = { user: 'lab-abcd', password: 'sixteen-letters-' };
const node = (index: number, shape = {}) => describeNode(labLayout(stateDir), index, 200, shape, secret);

describe('a node', () => {
  test('keeps its identity when the lab is raised again, and shares none of it', () => {
    expect(node(1)).toEqual(node(1));
    expect(new Set([node(1).mac, node(2).mac, node(112).mac]).size).toBe(3);
    expect(new Set([node(1).uuid, node(2).uuid]).size).toBe(2);
    expect(node(112).mac).toMatch(/^52:54:00:[0-9a-f]{2}:[0-9a-f]{2}:70$/);
  });

  test('has one processor where there are more nodes than cores', () => {
    expect(node(1).vcpus).toBe(1);
    expect(describeNode(labLayout(stateDir), 1, 0, {}, secret).vcpus).toBe(2);
  });

  test.each([
    [{ pxe: 'http' as const }, /node-1 cannot boot by 'http'.*uefi/],
    [{ memoryMb: 12 }, /node-1: memoryMb/],
    [{ diskGb: 0 }, /node-1: diskGb/],
    [{ vcpus: 1.5 }, /node-1: vcpus/],
  ])('is refused with its field named: %o', (shape, sentence) => {
    expect(() => node(1, shape)).toThrow(sentence);
  });
});

test('credentials differ from lab to lab and fit an IPMI 1.5 session', () => {
  const [one, two] = [newBmcSecret(), newBmcSecret()];
  expect(one.password).not.toBe(two.password);
  expect(one.password).toMatch(/^[A-Za-z0-9]{16}$/);
  expect(one.user.length).toBeLessThanOrEqual(16);
});

test('the enrolment file has the fields of instackenv.json', () => {
  const nodes = [node(1, { firmware: 'uefi', memoryMb: 2048 })];
  expect(JSON.parse(instackenv({ version: 1, acceleration: 'tcg', nodes }))).toEqual({
    nodes: [
      {
        name: 'node-1',
        pm_type: 'ipmi',
        pm_addr: '127.1.0.1',
        pm_port: '623',
        pm_user: 'lab-abcd',
        pm_password: 'sixteen-letters-',
        ports: [{ address: nodes[0]!.mac, physical_network: 'ctlplane' }],
        cpu: '1',
        memory: '2048',
        disk: '10',
        arch: 'x86_64',
        capabilities: 'boot_mode:uefi',
      },
    ],
  });
});

describe('lab.json', () => {
  const write = (text: string) => {
    mkdirSync(join(stateDir, 'lab'));
    writeFileSync(join(stateDir, 'lab', 'lab.json'), text);
  };

  test('absent means no lab', () => {
    expect(readDescription(stateDir)).toBeUndefined();
  });

  test('whole is read as it was written', () => {
    const description = { version: 1, acceleration: 'tcg', nodes: [node(1), node(2)] };
    write(JSON.stringify(description));
    expect(readDescription(stateDir)).toEqual(description);
  });

  test.each([
    ['', /not JSON.*lab down/],
    ['{"version": 1', /not JSON/],
    ['{"version": 2, "acceleration": "tcg", "nodes": []}', /damaged: \/version/],
    ['{"version": 1, "acceleration": "tcg", "nodes": [{"name": "../../etc"}]}', /damaged: \/nodes\/0/],
  ])('damaged is refused with the place and the way out: %s', (text, sentence) => {
    write(text);
    expect(() => readDescription(stateDir)).toThrow(sentence);
  });
});
