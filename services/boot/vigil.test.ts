import { expect, it } from 'vitest';
import { handClock } from '../../test/setup/hand-clock.ts';
import { createWorld } from '../../test/setup/world.ts';
import { type BootStep, causeOf, causeTable } from './steps.ts';
import { createVigil } from './vigil.ts';

const node = { uuid: '11111111-1111-4111-8111-111111111111', name: 'node-1' };
const subject = { type: 'node', id: node.uuid };

async function watching(model: string | null = 'Maker Model') {
  const { clock, pass } = handClock();
  const world = await createWorld({ clock });
  const make = () =>
    createVigil({
      house: world,
      modelOf: async () => model,
      nodeOf: async () => node,
      foreign: () => [],
      onTrouble: (text) => expect.unreachable(text),
    });
  const vigil = make();
  const silences: string[] = [];
  world.recorder.subscribe((event) => {
    if (event.kind === 'boot.silent') silences.push((event.data as { text: string }).text);
  });
  const intend = (intent: string) =>
    world.recorder.emit('node.boot-intent', subject, { intent, reason: 'a test', powerCycle: 1 } as never);
  /** As the operation does it; what follows waits until the vigil has looked the node up. */
  async function switchOn() {
    intend('agent');
    world.recorder.emit('node.power-state', subject, { from: 'off', to: 'on' } as never);
    await pass(0);
    await new Promise(setImmediate);
  }
  async function boot(times: readonly (readonly [step: BootStep, ms: number])[]) {
    await switchOn();
    for (const [step, ms] of times) {
      await pass(ms);
      vigil.reached(node, step, { model: model ?? 'x', loader: 'snponly.efi' });
    }
  }
  return { world, vigil, make, silences, pass, switchOn, boot, intend };
}

const whole = [
  ['asks', 20_000],
  ['loader', 400],
  ['second', 2_000],
  ['script', 100],
  ['kernel', 300],
  ['ramdisk', 900],
  ['lookup', 9_000],
  ['heartbeat', 500],
] as const;

it('says where a boot went silent, what is usual for the model, the likely cause and the remedy', async () => {
  const { silences, pass, boot, vigil, world } = await watching();
  for (let i = 0; i < 3; i += 1) await boot(whole);
  expect(silences).toEqual([]);
  await boot(whole.slice(0, 2));
  await pass(16_000);
  expect(silences).toEqual([]);
  await pass(2_000);
  expect(silences).toEqual([
    'silent for 17 s since it fetched its boot program; what follows usually takes 2.0 s on Maker Model (3 boots). Likely: snponly.efi does not start: Secure Boot refuses what is not signed, or it finds no driver for the card. Power-cycle the node: after two failures the next loader is given. With Secure Boot on, set the capability secure_boot:true.',
  ]);
  // Once a silence.
  await pass(3600_000);
  expect(silences).toHaveLength(1);
  vigil.stop();
  await world.recorder.drain();
});

it('remembers what is usual across a restart', async () => {
  const { vigil, make, world, boot, switchOn, silences, pass } = await watching();
  await boot(whole);
  vigil.stop();
  await expect
    .poll(async () => (await world.db.pool.query('select count(*)::int n from boot.step_times')).rows[0])
    .toEqual({ n: 8 });
  const again = make();
  await again.load();
  await switchOn();
  await pass(79_000);
  expect(silences).toEqual([]);
  await pass(2_000);
  expect(silences[0]).toMatch(
    /^silent for 80 s since it was switched on; what follows usually takes 20 s on Maker Model \(1 boot\)/,
  );
  again.stop();
});

it('names the file that was refused, and the card that is not enrolled', async () => {
  const { vigil, silences, pass, boot, switchOn } = await watching(null);
  await boot([['asks', 1_000]]);
  vigil.refused(node, 'snponly.efi', 'snponly.efi does not exist here');
  await pass(60_000);
  expect(silences[0]).toMatch(/Likely: snponly\.efi is not among the boot files\. Run `undercloud bootstrap` again/);
  await switchOn();
  await pass(5_000);
  vigil.stranger('52:54:00:99:99:99');
  await pass(600_000);
  expect(silences[1]).toMatch(
    /since it was switched on; .* Likely: 52:54:00:99:99:99 asked for an address since, and no node has that MAC: it may boot from a card that is not enrolled\. If that card is the node’s: `baremetal port create --node node-1 52:54:00:99:99:99`/,
  );
  vigil.stop();
});

it('keeps quiet while a transfer goes on, when the machine is off, and when no agent is awaited', async () => {
  const { vigil, silences, pass, boot, intend, world } = await watching();
  await boot(whole.slice(0, 5));
  for (let i = 0; i < 100; i += 1) {
    await pass(1_000);
    vigil.alive(node);
  }
  expect(silences).toEqual([]);
  world.recorder.emit('node.power-state', subject, { from: 'on', to: 'off' } as never);
  await pass(3600_000);
  await boot(whole.slice(0, 5));
  intend('disk');
  await pass(3600_000);
  expect(silences).toEqual([]);
  vigil.stop();
});

it('has a cause and a remedy for every step, and uses every row', () => {
  const plain = { name: 'n', refusal: null, broken: null, strangers: [], foreign: [], hadNoFile: false, loader: null };
  const situations = [
    plain,
    { ...plain, refusal: { file: 'kernel', reason: 'the token is burnt' } },
    { ...plain, refusal: { file: 'kernel', reason: 'kernel does not exist here' } },
    { ...plain, broken: { file: 'ramdisk', bytes: 1, size: 2 } },
    { ...plain, strangers: ['a'] },
    { ...plain, foreign: ['b'] },
    { ...plain, hadNoFile: true },
  ];
  const seen = new Set<string>();
  for (const evidence of situations)
    for (const step of ['power-on', 'asks', 'loader', 'second', 'script', 'kernel', 'ramdisk', 'lookup'] as const) {
      const { cause, remedy } = causeOf(step, evidence);
      expect(cause.length * remedy.length).toBeGreaterThan(0);
      seen.add(String(causeTable.findIndex((row) => row.cause(evidence) === cause)));
    }
  expect(seen.size).toBe(causeTable.length);
});
