/** The measuring, inside a room: first ours, then the peer, by the same client. Each row is a line of JSON on stdout. */
import type { Row } from '../row.ts';
import { chain, flat, group, nested, none, pairs, random } from './cases.ts';
import { ask, create, type Heat, idOf, login, remove, update, validations } from './client.ts';
import { startHeat } from './heat/index.ts';
import { type Ours, startOurs } from './ours.ts';

const [, , heatTree = '', length = ''] = process.argv;
const full = length === 'full';
const say = (text: string) => console.error(text);
const report = (row: Row) => process.stdout.write(`${JSON.stringify(row)}\n`);

/** Ours is asked often enough that the asking does not count; Heat at the rate of its own client, which costs it less. */
const [often, seldom] = [5, 250];
const counts = { flat: 1_000, group: 500, links: 600, noop: 200, live: 10_000 } as const;

const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function thrice(name: string, once: (round: number) => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let round = 0; round < 3; round += 1) values.push(await once(round));
  say(`${name}: ${values.map((value) => value.toFixed(3)).join(', ')}`);
  return middle(values);
}

interface Side {
  readonly flatPerSecond: number;
  readonly groupSeconds: number;
  readonly linksPerSecond: number;
  readonly nestedSeconds: number;
  readonly noopSeconds: number;
  readonly validationsPerSecond: number;
  readonly previewSeconds: number;
  readonly memoryMib: number;
  readonly engineMib: number;
  readonly startMs: number;
}

/** The stack is removed afterwards, outside the time. */
async function timedStack(heat: Heat, name: string, body: ReturnType<typeof flat>, everyMs: number, files = {}) {
  const seconds = await create(heat, name, body, everyMs, files);
  await remove(heat, name, everyMs);
  return seconds;
}

async function previewSeconds(heat: Heat, count: number): Promise<number> {
  const from = performance.now();
  const body = { stack_name: 'preview', template: flat(count, random), files: {}, environment: {} };
  const answer = await ask(heat, 'POST', '/stacks/preview', body);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`preview: ${answer.status} ${text.slice(0, 300)}`);
  return (performance.now() - from) / 1_000;
}

/** Seconds of a plan with every property, as `overcloud plan` asks for it. */
async function planSeconds(heat: Heat, count: number): Promise<number> {
  const from = performance.now();
  const body = { template: flat(count, random), files: {}, environment: {} };
  const answer = await ask(heat, 'POST', '/stacks/planned/plan', body);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`plan: ${answer.status} ${text.slice(0, 300)}`);
  return (performance.now() - from) / 1_000;
}

/** What the engine holds for a stack that is under way, all of whose resources but one are complete. */
async function liveMib(ours: Ours, heat: Heat, count: number): Promise<number> {
  const before = await ours.figures();
  const { resources } = flat(count, random) as { resources: object };
  const waits = { type: 'OS::Heat::TestResource', properties: { action_wait_secs: { create: 3_600 } } };
  const template = { heat_template_version: '2021-04-16', resources: { ...resources, waits } };
  const answer = await ask(heat, 'POST', '/stacks', { stack_name: 'live', template, files: {}, environment: {} });
  if (!answer.ok) throw new Error(`live: ${answer.status} ${await answer.text()}`);
  for (;;) {
    const look = await ask(heat, 'GET', '/stacks/live/resources?status=IN_PROGRESS');
    const { resources: left } = (await look.json()) as { resources: object[] };
    if (left.length === 1) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const after = await ours.figures();
  say(
    `${count} live: heap ${before.heapMib} to ${after.heapMib} MiB, resident ${before.rssMib} to ${after.rssMib} MiB`,
  );
  const id = await idOf(heat, 'live');
  await ask(heat, 'DELETE', `/stacks/live/${id}`);
  return after.heapMib - before.heapMib;
}

async function measureOurs(): Promise<Side & { planSeconds: number }> {
  const ours = await startOurs();
  const heat = await login(ours.keystoneUrl);
  // The just-in-time compiler has seen each of these once before it counts, as in a process that has run for a while.
  for (let n = 0; n < 5; n += 1) await timedStack(heat, `warm${n}`, flat(50, n % 2 ? random : none), often);
  await validations(heat, 100);
  const nest = nested(5);
  const flatSeconds = await thrice('flat', (n) => timedStack(heat, `flat${n}`, flat(counts.flat), often));
  const groupSeconds = await thrice('group', (n) => timedStack(heat, `group${n}`, group(counts.group), often));
  const chainSeconds = await thrice('chain', (n) => timedStack(heat, `chain${n}`, chain(counts.links), often));
  const nestedSeconds = await thrice('nested', (n) => timedStack(heat, `nest${n}`, nest.outer, often, nest.files));
  await create(heat, 'same', flat(counts.noop, random), often);
  const noopSeconds = await thrice('no-op', () => update(heat, 'same', flat(counts.noop, random), often));
  const perSecond = await thrice('validations', () => validations(heat, full ? 10_000 : 2_000));
  const figures = await ours.figures();
  const { startsMs } = await ours.watched(async () => {
    await timedStack(heat, 'starts', chain(counts.links), often);
    await timedStack(heat, 'pairs', pairs(counts.flat / 2), often);
  });
  startsMs.sort((a, b) => a - b);
  const startMs = startsMs[Math.floor(startsMs.length * 0.99)] ?? Number.NaN;
  say(`${startsMs.length} starts: middle ${middle(startsMs)} ms, p99 ${startMs} ms, most ${startsMs.at(-1)} ms`);
  const preview = await thrice('preview of 10,000', () => previewSeconds(heat, 10_000));
  const planned = await thrice('plan of 10,000', () => planSeconds(heat, 10_000));
  const engineMib = await liveMib(ours, heat, counts.live);
  await ours.end();
  return {
    flatPerSecond: counts.flat / flatSeconds,
    groupSeconds,
    linksPerSecond: counts.links / chainSeconds,
    nestedSeconds,
    noopSeconds,
    validationsPerSecond: perSecond,
    previewSeconds: preview,
    planSeconds: planned,
    memoryMib: figures.allMib,
    engineMib,
    startMs,
  };
}

/**
 * Each case by the engine that is better at it: convergence starts one independent resource a second and is quick along a
 * chain, the classic one sleeps a second on each level and is quick across.
 */
async function measureHeat(): Promise<Side> {
  const peer = await startHeat(heatTree);
  await peer.use('classic');
  const heat = await login(peer.keystoneUrl);
  const one = async (name: string, run: () => Promise<number>) => {
    const seconds = await run();
    say(`Heat ${name}: ${seconds.toFixed(2)} s`);
    return seconds;
  };
  const nest = nested(5);
  await create(heat, 'warm', flat(5), seldom);
  const flatSeconds = await one('flat', () => create(heat, 'flat', flat(counts.flat), seldom));
  const groupSeconds = await one('group', () => create(heat, 'group', group(counts.group), seldom));
  const nestedClassic = await one('nested', () => create(heat, 'nest', nest.outer, seldom, nest.files));
  await create(heat, 'same', flat(counts.noop, random), seldom);
  const noopSeconds = await one('no-op', () => update(heat, 'same', flat(counts.noop, random), seldom));
  const validationsPerSecond = await validations(heat, full ? 1_000 : 200);
  const tenth = await one('preview of 1,000', () => previewSeconds(heat, 1_000));
  const engineMib = peer.memoryMib('heat-engine');
  const memoryMib = peer.memoryMib();
  await peer.use('convergence');
  const chainSeconds = await one('chain', () => create(heat, 'chain', chain(counts.links), seldom));
  const nestedOther = await one('nested', () => create(heat, 'nest2', nest.outer, seldom, nest.files));
  return {
    flatPerSecond: counts.flat / flatSeconds,
    groupSeconds,
    linksPerSecond: counts.links / chainSeconds,
    nestedSeconds: Math.min(nestedClassic, nestedOther),
    noopSeconds,
    validationsPerSecond,
    // Ten times as many take at least ten times as long.
    previewSeconds: tenth * 10,
    memoryMib,
    engineMib,
    startMs: (1_000 * chainSeconds) / counts.links,
  };
}

const ours = await measureOurs();
say(JSON.stringify(ours));
const heat = await measureHeat();
say(JSON.stringify(heat));
const higher = 'higher' as const;
const lower = 'lower' as const;
report({ name: 'flat_1000_per_s', ours: ours.flatPerSecond, peer: heat.flatPerSecond, better: higher });
report({ name: 'group_500_s', ours: ours.groupSeconds, peer: heat.groupSeconds, better: lower });
report({ name: 'chain_links_per_s', ours: ours.linksPerSecond, peer: heat.linksPerSecond, better: higher });
report({ name: 'nested_5_s', ours: ours.nestedSeconds, peer: heat.nestedSeconds, better: lower });
report({ name: 'noop_200_s', ours: ours.noopSeconds, peer: heat.noopSeconds, better: lower });
report({ name: 'validations_per_s', ours: ours.validationsPerSecond, peer: heat.validationsPerSecond, better: higher });
// From the end of what it needs to the end of its own work, which begins in between; of Heat only the whole link is known.
report({ name: 'dependant_start_p99_ms', ours: ours.startMs, peer: heat.startMs, better: lower });
report({ name: 'preview_10000_s', ours: ours.previewSeconds, peer: heat.previewSeconds, better: lower });
report({ name: 'plan_10000_s', ours: ours.planSeconds, peer: heat.previewSeconds, better: lower });
report({ name: 'memory_mib', ours: ours.memoryMib, peer: heat.memoryMib, better: lower });
// Ours with 10,000 resources live, Heat's with what it was asked for above.
report({ name: 'engine_10000_live_mib', ours: ours.engineMib, peer: heat.engineMib, better: lower });
process.exit(0);
