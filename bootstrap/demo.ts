/**
 * The demo: from a bare Debian machine to two nodes that serve a web page out of a database, by the same commands that an
 * operator types. Each stage is printed with the command, and at the end with its wall and CPU seconds. Safe to run again.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { labDown } from '../services/lab/index.ts';
import { ensurePackages } from './packages.ts';
import { leaveRunDir, runDir } from './run-dir.ts';
import { stopServices } from './services.ts';

const root = resolve(import.meta.dirname, '..');
const usualState = '/var/lib/undercloud-demo';
const { values } = parseArgs({
  options: {
    down: { type: 'boolean', default: false },
    state: { type: 'string', default: usualState },
    listen: { type: 'string', default: '127.0.0.1:6385' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const state = resolve(values.state);
const stack = 'hello';

interface Stage {
  name: string;
  wall: number;
  cpu: number;
}

/** Seconds that the machine's processors were busy since it started (proc(5), /proc/stat, USER_HZ = 100). */
function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + soft) / 100;
}

const stages: Stage[] = [];

async function stage(name: string, work: () => Promise<unknown>): Promise<void> {
  console.log(`\n${styleText('bold', `== ${name}`)}`);
  const started = Date.now();
  const busy = busySeconds();
  await work();
  stages.push({ name, wall: (Date.now() - started) / 1000, cpu: busySeconds() - busy });
}

/** Runs one of the two commands as the operator would, output and all. */
function type(command: 'undercloud' | 'overcloud', ...args: string[]): Promise<void> {
  console.log(styleText('dim', `$ ${command} ${args.join(' ')}`));
  return new Promise((done, failed) => {
    const child = spawn(join(root, 'bootstrap', command), args, {
      stdio: 'inherit',
      env: { ...process.env, PATH: `${join(root, 'bootstrap')}:${process.env.PATH}` },
    });
    child.once('error', failed);
    child.once('exit', (code, signal) =>
      code === 0 ? done() : failed(new Error(`\`${command} ${args[0]}\` ended with ${signal ?? code}.`)),
    );
  });
}

/** The output of a command, for what the demo itself needs to know. */
function ask(program: string, args: string[]): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.once('error', failed);
    child.once('exit', (code) =>
      code === 0 ? done(text) : failed(new Error(`\`${program} ${args.join(' ')}\` ended with ${code}.`)),
    );
  });
}

async function up(): Promise<void> {
  const at = ['--state', state];
  await stage('packages', async () => {
    const installed = await ensurePackages(
      ['undercloud', 'images', 'lab'],
      (line) => process.stdout.isTTY && process.stdout.write(`\r\x1b[K${line.slice(0, 100)}`),
    );
    console.log(
      `${process.stdout.isTTY ? '\r\x1b[K' : ''}${installed.length > 0 ? `installed ${installed.length} packages` : 'all there'}`,
    );
  });
  await stage('the undercloud', () => type('undercloud', ...at, 'bootstrap', '--lab', '--listen', values.listen));
  await stage('two bare-metal nodes', () => type('undercloud', ...at, 'lab', 'up', '--nodes', '2'));
  await stage('the gold image', () => type('undercloud', ...at, 'image', 'build', 'lab'));
  await stage('enrol the nodes', () => type('undercloud', ...at, 'node', 'import', join(state, 'lab/instackenv.json')));
  await stage('deploy', () =>
    type('overcloud', ...at, 'deploy', join(root, 'templates/hello.hot.yaml'), '--name', stack),
  );
  let url = '';
  await stage('the page, fetched from the undercloud’s side', async () => {
    url = await showPage();
  });
  for (const node of ['node-1', 'node-2']) {
    console.log(`\n${styleText('bold', `== timeline of ${node}`)}`);
    await type('undercloud', ...at, 'node', 'timeline', node);
  }
  console.log(`\n${styleText('bold', '== outputs')}`);
  await type('overcloud', ...at, 'outputs', stack);
  report();
  console.log(`\n${styleText('bold', '== what to type next')}`);
  for (const [line, what] of suggestions(url)) console.log(`${line.padEnd(70)} ${styleText('dim', what)}`);
}

/** The commands lie in /usr/local/bin; other clients of the field find the same cloud by its file. */
function suggestions(url: string): [line: string, what: string][] {
  const isUsual = values.state === usualState;
  return [
    [`undercloud --state ${state} node list`, 'the nodes, and what each does or waits for'],
    [`overcloud --state ${state} status ${stack}`, 'the stack as a tree'],
    [`undercloud --state ${state} lab exec -- curl -s ${url}`, 'the page once more'],
    [`undercloud --state ${state} lab console node-1`, 'its serial console; ~. on a new line leaves it'],
    [`overcloud --state ${state} delete ${stack}`, 'the nodes become available again'],
    [`export OS_CLIENT_CONFIG_FILE=${state}/clouds.yaml`, 'then, with Debian’s python3-openstackclient:'],
    ['openstack --os-cloud undercloud server list', ''],
    [`${join(root, 'bootstrap/demo')} --down${isUsual ? '' : ` --state ${state}`}`, 'all of it goes'],
  ];
}

/** The proof: a row that the web node wrote comes back out of the database node. */
async function showPage(): Promise<string> {
  const outputs = JSON.parse(
    await ask(join(root, 'bootstrap/overcloud'), ['--state', state, '--json', 'outputs', stack]),
  ) as unknown;
  const url = /http:\/\/[0-9.]+\//.exec(JSON.stringify(outputs))?.[0];
  if (!url) throw new Error('The stack has no URL among its outputs.');
  const fetchPage = (path: string) =>
    ask(join(root, 'bootstrap/undercloud'), [
      '--state',
      state,
      'lab',
      'exec',
      '--',
      'curl',
      '-sS',
      '--fail',
      '--max-time',
      '60',
      url + path,
    ]);
  console.log(styleText('dim', `$ undercloud lab exec -- curl ${url}`));
  await fetchPage('');
  const rows = (await fetchPage('rows')).trim();
  console.log(rows);
  if (!rows.includes(`${stack}-db`) || !rows.includes(`${stack}-web`))
    throw new Error(`The page at ${url} does not show rows of both nodes.`);
  return url;
}

function report(): void {
  console.log(`\n${styleText('bold', '== seconds')}`);
  const line = (name: string, wall: number, cpu: number) =>
    console.log(`${name.padEnd(46)} wall ${wall.toFixed(1).padStart(6)}   CPU ${cpu.toFixed(1).padStart(6)}`);
  for (const { name, wall, cpu } of stages) line(name, wall, cpu);
  line(
    'all',
    stages.reduce((sum, one) => sum + one.wall, 0),
    stages.reduce((sum, one) => sum + one.cpu, 0),
  );
}

async function down(): Promise<void> {
  console.log('stopping the undercloud');
  await stopServices(state);
  console.log('taking the lab down');
  await labDown({ stateDir: state, onProgress: (line) => console.log(`  ${line}`) });
  for (const name of ['undercloud', 'overcloud']) {
    const link = `/usr/local/bin/${name}`;
    if (linksTo(link) === join(root, 'bootstrap', name)) rmSync(link);
  }
  rmSync(runDir(state), { recursive: true, force: true });
  leaveRunDir(state);
  if (existsSync(state)) rmSync(state, { recursive: true });
  console.log(`removed ${state}; the Debian packages and the user \`undercloud\` stay.`);
}

function linksTo(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null;
  }
}

if (values.help)
  console.log(
    'demo [--state DIR] [--listen ADDR:PORT]   bring the demo up; safe to run again\ndemo --down [--state DIR]                 remove all of it',
  );
else if (process.getuid?.() !== 0) {
  console.error('The demo needs root: it installs packages and makes network namespaces. Run it with sudo.');
  process.exitCode = 4;
} else {
  try {
    await (values.down ? down() : up());
  } catch (error) {
    console.error(
      `\n${(error as Error).message}\nMend that and run the demo again; it goes on where it stopped. Logs are in ${state}/logs.`,
    );
    process.exitCode = 1;
  }
}
