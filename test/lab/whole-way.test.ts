/**
 * The whole way on real parts: bootstrap, gold image, a BIOS node and a UEFI node (by OVMF's own PXE), a stack over both, a
 * page that shows rows of both, with `serve` killed at a random moment of the deploy. The commands are the operator's own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standing, stopServices } from '../../bootstrap/services.ts';
import { type Lab, labDown, labNetns, labUp, machineSpeed } from '../../services/lab/index.ts';

const root = resolve(import.meta.dirname, '../..');
const scratch = mkdtempSync('/var/tmp/uc-way-');
const state = join(scratch, 'state');
const listen = '127.0.0.1:26385';
const minutes = 60_000;

interface Said {
  code: number;
  out: string;
  err: string;
}

let speed = 1;
let lab: Lab;
const stages: string[] = [];

/** Seconds that the machine's processors have been busy (proc(5)). */
function busySeconds(): number {
  const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  return [0, 1, 2, 5, 6].reduce((sum, place) => sum + (fields[place] ?? 0), 0) / 100;
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const busy = busySeconds();
  const result = await work();
  stages.push(
    `${name.padEnd(40)} wall ${((Date.now() - started) / 1000).toFixed(1)} s, CPU ${(busySeconds() - busy).toFixed(1)} s`,
  );
  return result;
}

function start(command: 'undercloud' | 'overcloud', args: string[]): { child: ChildProcess; said: Promise<Said> } {
  const child = spawn(join(root, 'bootstrap', command), ['--state', state, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { code: -1, out: '', err: '' };
  child.stdout.on('data', (part) => {
    said.out += part;
  });
  child.stderr.on('data', (part) => {
    said.err += part;
  });
  return {
    child,
    said: new Promise((done) => child.once('close', (code) => done({ ...said, code: code ?? -1 }))),
  };
}

const type = (command: 'undercloud' | 'overcloud', ...args: string[]): Promise<Said> => start(command, args).said;

/** Runs it and wants it to end well. */
async function well(command: 'undercloud' | 'overcloud', ...args: string[]): Promise<Said> {
  const said = await type(command, ...args);
  expect(said.code, `${command} ${args.join(' ')}\n${said.out}\n${said.err}`).toBe(0);
  return said;
}

beforeAll(async () => {
  // The service user has to pass through.
  chmodSync(scratch, 0o755);
  speed = await machineSpeed();
  mkdirSync(state, { recursive: true });
  await timed('bootstrap --lab', () => well('undercloud', 'bootstrap', '--lab', '--listen', listen));
  lab = await timed('lab up', () =>
    labUp({ stateDir: state, nodes: 2, shapes: [{ firmware: 'bios' }, { firmware: 'uefi', pxe: 'firmware' }] }),
  );
  await timed('image build lab', () => well('undercloud', 'image', 'build', 'lab'));
}, 15 * minutes);

afterAll(async () => {
  await stopServices(state);
  await labDown({ stateDir: state });
  expect(existsSync(labNetns(state).file)).toBe(false);
  expect(standing(state).running).toBe(false);
  rmSync(scratch, { recursive: true, force: true });
  console.log(stages.join('\n'));
}, 5 * minutes);

describe('an enrolment that is wrong', () => {
  interface Entry {
    name: string;
    pm_addr: string;
    pm_password: string;
    ports: { address: string }[];
  }
  const entries = (): Entry[] => (JSON.parse(readFileSync(lab.instackenv, 'utf8')) as { nodes: Entry[] }).nodes;
  async function refused(change: (nodes: Entry[]) => void, sentence: RegExp): Promise<void> {
    const nodes = entries();
    change(nodes);
    const file = join(scratch, 'wrong.json');
    writeFileSync(file, JSON.stringify({ nodes }));
    const said = await type('undercloud', 'node', 'import', file);
    expect(said.code).not.toBe(0);
    expect(said.err).toMatch(sentence);
    expect(JSON.parse((await well('undercloud', '--json', 'node', 'list')).out)).toEqual([]);
  }

  it('by a MAC given twice is refused with both places, and nothing is enrolled', async () => {
    await refused(
      (nodes) => {
        (nodes[1] as Entry).ports = (nodes[0] as Entry).ports;
      },
      new RegExp(entries()[0]?.ports[0]?.address ?? 'no MAC'),
    );
  });

  it(
    'by a wrong BMC password says so, and nothing stays enrolled',
    async () => {
      await refused((nodes) => {
        nodes.length = 1;
        (nodes[0] as Entry).pm_password = 'wrong';
      }, /password/i);
    },
    3 * minutes,
  );

  it(
    'by a BMC that does not answer says so, and nothing stays enrolled',
    async () => {
      await refused((nodes) => {
        nodes.length = 1;
        (nodes[0] as Entry).pm_addr = '127.1.0.99';
      }, /127\.1\.0\.99/);
    },
    5 * minutes,
  );
});

describe('a template that is wrong', () => {
  const cases: [string, string, RegExp][] = [
    ['YAML that does not parse', 'heat_template_version: 2021-04-16\nresources: {a: [}\n', /wrong\.yaml:2/],
    [
      'a type that is not there',
      'heat_template_version: 2021-04-16\nresources:\n  a: {type: OS::Nova::Serber}\n',
      /wrong\.yaml:3:.*OS::Nova::Serber/s,
    ],
    ['a parameter without a value', 'heat_template_version: 2021-04-16\nparameters:\n  size: {type: number}\n', /size/],
    [
      'an image that is not there',
      'heat_template_version: 2021-04-16\nresources:\n  a:\n    type: OS::Nova::Server\n    properties: {image: nothing, flavor: baremetal, networks: [{network: ctlplane}]}\n',
      /nothing/,
    ],
    [
      'more nodes than there are',
      'heat_template_version: 2021-04-16\nresources:\n  all:\n    type: OS::Heat::ResourceGroup\n    properties:\n      count: 3\n      resource_def:\n        type: OS::Nova::Server\n        properties: {image: lab, flavor: baremetal, networks: [{network: ctlplane}]}\n',
      /node/i,
    ],
  ];
  for (const [name, text, sentence] of cases) {
    it(
      `by ${name} is refused in a sentence and leaves no stack`,
      async () => {
        const file = join(scratch, 'wrong.yaml');
        writeFileSync(file, text);
        const said = await type('overcloud', 'deploy', file, '--name', 'wrong');
        expect(said.code, said.out + said.err).not.toBe(0);
        expect(said.out + said.err).toMatch(sentence);
        expect((await well('overcloud', '--json', 'list')).out).not.toContain('"wrong"');
      },
      10 * minutes,
    );
  }
});

describe('two nodes, BIOS and UEFI', () => {
  it(
    'are enrolled by their BMCs',
    async () => {
      await timed('node import', () => well('undercloud', 'node', 'import', lab.instackenv));
      const nodes = JSON.parse((await well('undercloud', '--json', 'node', 'list')).out) as {
        provision_state?: string;
      }[];
      expect(nodes).toHaveLength(2);
      expect(JSON.stringify(nodes)).toContain('available');
    },
    3 * minutes,
  );

  it(
    'are laid out by a stack, although serve is killed on the way, and one reads its metadata over the network',
    async () => {
      // The web node gets no config drive: it has to ask 169.254.169.254.
      const hello = readFileSync(join(root, 'templates/hello.hot.yaml'), 'utf8');
      const place = hello.lastIndexOf('      user_data_format: SOFTWARE_CONFIG');
      const template = join(scratch, 'hello.hot.yaml');
      writeFileSync(template, `${hello.slice(0, place)}      config_drive: false\n${hello.slice(place)}`);
      const killAfterMs = 3_000 + Math.random() * 60_000 * speed;
      const deploy = start('overcloud', ['deploy', template, '--name', 'hello']);
      const kill = setTimeout(() => {
        const { serve } = standing(state);
        if (serve) process.kill(serve, 'SIGKILL');
        stages.push(`serve ${serve} killed ${(killAfterMs / 1000).toFixed(1)} s after the deploy began`);
      }, killAfterMs);
      const said = await timed('overcloud deploy hello', () => deploy.said);
      clearTimeout(kill);
      expect(said.code, `killed after ${killAfterMs} ms\n${said.out}\n${said.err}`).toBe(0);
      expect(standing(state).children.find((child) => child.name === 'serve')?.restarts).toBe(1);
      const url = /http:\/\/[0-9.]+\//.exec(said.out)?.[0];
      expect(url).toBeTruthy();
      await well('undercloud', 'lab', 'exec', '--', 'curl', '-sS', '--fail', '--max-time', '120', String(url));
      const rows = (
        await well('undercloud', 'lab', 'exec', '--', 'curl', '-sS', '--fail', '--max-time', '120', `${url}rows`)
      ).out;
      expect(rows).toContain('hello-db');
      expect(rows).toContain('hello-web');
    },
    25 * minutes,
  );

  it('have timelines that tell firmware, loader, ramdisk and disk', async () => {
    const timelines = await Promise.all(
      lab.nodes.map(async (node) => (await well('undercloud', 'node', 'timeline', node.name)).out),
    );
    expect(timelines.join('')).toMatch(/BIOS iPXE/);
    expect(timelines.join('')).toMatch(/snponly\.efi/);
    for (const text of timelines) {
      expect(text).toMatch(/first heartbeat/);
      expect(text).toMatch(/write the image to the disk \[took/);
      expect(text).toMatch(/→ active/);
    }
  });

  it(
    'are given back by the stack’s deletion',
    async () => {
      await timed('overcloud delete hello', () => well('overcloud', 'delete', 'hello'));
      const nodes = (await well('undercloud', '--json', 'node', 'list')).out;
      expect(nodes.match(/"available"/g)).toHaveLength(2);
    },
    10 * minutes,
  );
});
