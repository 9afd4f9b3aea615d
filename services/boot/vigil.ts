/**
 * Watches every boot of a node into the ramdisk from power-on to the agent's first heartbeat: learns how long each step
 * takes on each model, and where a machine goes silent for much longer than that, says so once: where it stopped, how long
 * that step usually takes, the likely cause and the remedy.
 */
import type { House } from '../core/house.ts';
import type { BootNode } from './model.ts';
import { type BootStep, bootSteps, causeOf, stepTable } from './steps.ts';
import { addStepTime, keptSamples, readStepTimes } from './store/outcomes.ts';

export interface VigilDeps {
  readonly house: House;
  /** What the node is of, once it was inspected. */
  readonly modelOf: (nodeUuid: string) => Promise<string | null>;
  readonly nodeOf: (nodeUuid: string) => Promise<BootNode | null>;
  readonly foreign: () => readonly string[];
  readonly onTrouble: (text: string) => void;
  /** Multiplies what is expected of machines of which nothing is known; 1 is real hardware. */
  readonly speed?: number;
}

export interface Vigil {
  load(): Promise<void>;
  /** The machine has come to this step. Without a node, or with one that boots no agent, nothing is kept. */
  reached(node: BootNode | null, step: BootStep, facts?: { loader?: string; hasFile?: boolean; model?: string }): void;
  /** It is at work within its step: a transfer goes on. */
  alive(node: BootNode | null): void;
  refused(node: BootNode | null, file: string, reason: string): void;
  broken(node: BootNode | null, file: string, bytes: number, size: number): void;
  stranger(mac: string): void;
  stop(): void;
}

interface Watched {
  readonly node: BootNode;
  model: string;
  step: BootStep;
  stepAt: number;
  heardAt: number;
  startedAt: number;
  refusal: { file: string; reason: string } | null;
  broken: { file: string; bytes: number; size: number } | null;
  hadNoFile: boolean;
  loader: string | null;
  cancel: () => void;
}

const unknownModel = 'unknown';
/** Silence is told of after so many times the usual time, and so much more than it at least. */
const timesUsual = 4;
const graceMs = 15_000;
const mostStrangers = 200;

const median = (samples: readonly number[]): number =>
  [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
const inWords = (ms: number): string =>
  ms < 10_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms < 120_000
      ? `${Math.round(ms / 1000)} s`
      : `${Math.round(ms / 60_000)} min`;

export function createVigil(deps: VigilDeps): Vigil {
  const { house, speed = 1 } = deps;
  const { clock, db, recorder } = house;
  const watched = new Map<string, Watched>();
  /** By model and step: samples by the step that followed. */
  const times = new Map<string, Map<string, { samples: number[]; boots: number }>>();
  const strangers = new Map<string, number>();

  function learn(model: string, from: BootStep, to: BootStep, ms: number): void {
    const key = `${model}\n${from}`;
    const next = times.get(key) ?? new Map<string, { samples: number[]; boots: number }>();
    times.set(key, next);
    const known = next.get(to) ?? { samples: [], boots: 0 };
    next.set(to, { samples: [...known.samples, ms].slice(-keptSamples), boots: known.boots + 1 });
    addStepTime(db, { model, from, to }, ms).catch((error: Error) =>
      deps.onTrouble(`how long a boot step took could not be kept: ${error.message}`),
    );
  }

  /** ms that the step usually takes on this model, and how many boots say so. */
  function usualOf(model: string, step: Exclude<BootStep, 'heartbeat'>): { ms: number; boots: number } {
    const ways = [...(times.get(`${model}\n${step}`)?.values() ?? [])].sort((a, b) => b.boots - a.boots);
    const [most] = ways;
    return most ? { ms: median(most.samples), boots: most.boots } : { ms: stepTable[step].usualMs * speed, boots: 0 };
  }

  function forget(uuid: string): void {
    watched.get(uuid)?.cancel();
    watched.delete(uuid);
  }

  function arm(one: Watched): void {
    one.cancel();
    if (one.step === 'heartbeat') return;
    const usual = usualOf(one.model, one.step).ms;
    const limit = Math.max(timesUsual * usual, usual + graceMs * speed);
    const look = () => {
      const left = one.heardAt + limit - clock.now();
      if (left > 0) one.cancel = clock.after(left, look);
      else tell(one);
    };
    one.cancel = clock.after(limit, look);
  }

  function tell(one: Watched): void {
    const { step, node, model } = one;
    if (step === 'heartbeat') return;
    const { heard, awaits } = stepTable[step];
    const usual = usualOf(model, step);
    const silentMs = clock.now() - one.heardAt;
    const since = [...strangers].filter(([, at]) => at >= one.startedAt).map(([mac]) => mac);
    const name = node.name ?? node.uuid;
    const { cause, remedy } = causeOf(step, {
      name,
      refusal: one.refusal,
      broken: one.broken,
      strangers: since.slice(-3),
      foreign: deps.foreign(),
      hadNoFile: one.hadNoFile,
      loader: one.loader,
    });
    const learned =
      usual.boots > 0
        ? `what follows usually takes ${inWords(usual.ms)} on ${model} (${usual.boots} boot${usual.boots === 1 ? '' : 's'})`
        : `no boot of ${model} has come further yet, and machines of other models take ${inWords(usual.ms)} at most`;
    const text = `silent for ${inWords(silentMs)} since ${heard}; ${learned}. Likely: ${cause}. ${remedy}`;
    recorder.emit(
      'boot.silent',
      { type: 'node', id: node.uuid },
      {
        text,
        step,
        awaits,
        cause,
        remedy,
        model,
        silentMs: Math.round(silentMs),
        usualMs: Math.round(usual.ms),
        boots: usual.boots,
      },
    );
    house.operations.wake({ type: 'node', id: node.uuid });
  }

  function begin(node: BootNode, step: BootStep, model: string | null, at: number): Watched {
    forget(node.uuid);
    const one: Watched = {
      node,
      model: model ?? unknownModel,
      step,
      stepAt: at,
      heardAt: at,
      startedAt: at,
      refusal: null,
      broken: null,
      hadNoFile: false,
      loader: null,
      cancel: () => {},
    };
    watched.set(node.uuid, one);
    arm(one);
    return one;
  }

  /** A machine is watched from the power-on that shall bring its agent. */
  const agentBoots = new Set<string>();

  async function switchedOn(uuid: string): Promise<void> {
    const at = clock.now();
    const [node, model] = await Promise.all([deps.nodeOf(uuid), deps.modelOf(uuid)]);
    // What it did meanwhile counts more than what the database says now.
    const known = watched.get(uuid);
    if (node && agentBoots.has(uuid) && !(known && known.startedAt >= at)) begin(node, 'power-on', model, at);
  }

  const leave = recorder.subscribe((event) => {
    if (event.subject.type !== 'node') return;
    const { id } = event.subject;
    const data = event.data as { intent?: string; to?: string; first?: boolean };
    switch (event.kind) {
      case 'node.boot-intent':
        if (data.intent === 'agent') agentBoots.add(id);
        else agentBoots.delete(id);
        if (data.intent !== 'agent') forget(id);
        break;
      case 'node.power-state':
        if (data.to === 'off') forget(id);
        else if (agentBoots.has(id))
          switchedOn(id).catch((error: Error) => deps.onTrouble(`a boot could not be watched: ${error.message}`));
        break;
      case 'node.boot-retry':
        if (agentBoots.has(id))
          switchedOn(id).catch((error: Error) => deps.onTrouble(`a boot could not be watched: ${error.message}`));
        break;
      case 'node.agent-lookup':
        vigil.reached({ uuid: id, name: watched.get(id)?.node.name ?? null }, 'lookup');
        break;
      case 'node.agent-heartbeat':
        if (!data.first) break;
        vigil.reached({ uuid: id, name: watched.get(id)?.node.name ?? null }, 'heartbeat');
        forget(id);
        agentBoots.delete(id);
        break;
      case 'node.deleted':
        agentBoots.delete(id);
        forget(id);
        break;
    }
  });

  const vigil: Vigil = {
    async load() {
      for (const row of await readStepTimes(db)) {
        const key = `${row.model}\n${row.from}`;
        const next = times.get(key) ?? new Map<string, { samples: number[]; boots: number }>();
        times.set(key, next);
        next.set(row.to, { samples: [...row.samples], boots: row.boots });
      }
    },

    reached(node, step, facts = {}) {
      if (!node) return;
      const at = clock.now();
      const one = watched.get(node.uuid) ?? begin(node, step, facts.model ?? null, at);
      if (facts.model !== undefined) one.model = facts.model;
      const isNext = bootSteps.indexOf(step) > bootSteps.indexOf(one.step);
      if (isNext) learn(one.model, one.step, step, at - one.stepAt);
      // Firmware that asks anew has begun again; the ramdisk's own requests do not come here.
      else if (step !== 'asks' && step !== 'second') {
        one.heardAt = at;
        return;
      }
      Object.assign(one, { step, stepAt: at, heardAt: at, broken: null });
      if (facts.loader !== undefined) one.loader = facts.loader;
      if (facts.hasFile !== undefined) one.hadNoFile = !facts.hasFile;
      arm(one);
    },

    alive(node) {
      const one = node && watched.get(node.uuid);
      if (one) one.heardAt = clock.now();
    },

    refused(node, file, reason) {
      const one = node && watched.get(node.uuid);
      if (one) one.refusal = { file, reason };
    },

    broken(node, file, bytes, size) {
      const one = node && watched.get(node.uuid);
      if (one) Object.assign(one, { broken: { file, bytes, size }, heardAt: clock.now() });
    },

    stranger(mac) {
      strangers.delete(mac);
      if (strangers.size >= mostStrangers) strangers.delete(strangers.keys().next().value ?? '');
      strangers.set(mac, clock.now());
    },

    stop() {
      leave();
      for (const uuid of [...watched.keys()]) forget(uuid);
    },
  };
  return vigil;
}
