/** What goes wrong with a lab node's BMC, as it is written on a command line, and as it comes out of a seed. */
import { fault } from '../core/errors/index.ts';
import { type BootTruth, bootTruths } from './virtual-bmc-chassis.ts';
import { noFaults, seededRandom, type VirtualFaults } from './virtual-bmc-faults.ts';

export interface BmcFaults extends VirtualFaults {
  /** What becomes of a boot device that is set. */
  boot: BootTruth;
}

export const faultless: Readonly<BmcFaults> = { ...noFaults, boot: 'honest' };

interface FaultRow {
  readonly kind: 'chance' | 'ms' | 'switch' | 'boot';
  readonly says: string;
  /** Of a seed's BMC: how likely it has this fault, and its strongest form. */
  readonly seeded?: readonly [likely: number, most: number];
}

export const faultRows: Readonly<Record<keyof BmcFaults, FaultRow>> = {
  loss: { kind: 'chance', says: 'datagrams lost, either way', seeded: [0.6, 0.15] },
  duplicate: { kind: 'chance', says: 'answers that come twice', seeded: [0.5, 0.3] },
  reorder: { kind: 'chance', says: 'answers delayed past their successors', seeded: [0.5, 0.3] },
  truncate: { kind: 'chance', says: 'answers cut off', seeded: [0.4, 0.05] },
  corrupt: { kind: 'chance', says: 'answers with one bit changed', seeded: [0.4, 0.05] },
  noise: { kind: 'chance', says: 'random packets ahead of an answer', seeded: [0.5, 0.3] },
  stale: { kind: 'chance', says: 'an older answer again, under its old sequence number', seeded: [0.5, 0.3] },
  foreign: { kind: 'chance', says: 'answers under another session’s id', seeded: [0.3, 0.05] },
  leap: { kind: 'chance', says: 'session sequence numbers that leap', seeded: [0.4, 0.1] },
  stall: { kind: 'chance', says: 'requests at which the BMC falls deaf for stallMs', seeded: [0.3, 0.01] },
  stallMs: { kind: 'ms', says: 'milliseconds of a stall (10000)' },
  exhaust: { kind: 'chance', says: 'log-ins refused because all sessions are taken', seeded: [0.3, 0.5] },
  deaf: { kind: 'switch', says: 'answers nothing at all' },
  sessionsFull: { kind: 'switch', says: 'refuses every log-in: all sessions are taken' },
  boot: {
    kind: 'boot',
    says: 'honest; forgets: takes a boot device and keeps none; ignores: keeps it and boots by its own order; ignores-once: obeys only what is set for every boot; ignores-on: obeys at a reset only',
  },
};

/** A BMC of a seed in this many lies about its boot device. */
const liarsAmong = 5;
const mostStallMs = 600_000;

/** The faults of node `index` from a seed; the same seed always gives the same ones. */
export function faultsOfSeed(seed: number, index: number): BmcFaults {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index, 0x85ebca6b));
  const faults: BmcFaults = { ...faultless };
  for (const [name, { seeded }] of Object.entries(faultRows)) {
    const [roll, strength] = [random(), random()];
    if (!seeded || roll >= seeded[0]) continue;
    // Three digits: a person may want to type it again.
    Object.assign(faults, { [name]: Math.max(0.001, Math.round(strength * seeded[1] * 1_000) / 1_000) });
  }
  if (Math.floor(random() * liarsAmong) === 0) faults.boot = random() < 0.5 ? 'forgets' : 'ignores';
  return faults;
}

/** `loss=0.1`, `deaf=on`, `boot=ignores`; over those that are there. `none` alone takes all away. @throws Fault `lab-fault` */
export function changedFaults(node: string, now: BmcFaults, words: readonly string[]): BmcFaults {
  let faults: BmcFaults = { ...now };
  for (const word of words) {
    if (word === 'none') {
      faults = { ...faultless };
      continue;
    }
    const [, name = '', value = ''] = /^([A-Za-z]+)=(.*)$/.exec(word) ?? [];
    const row = Object.hasOwn(faultRows, name) ? faultRows[name as keyof BmcFaults] : undefined;
    if (!row)
      throw fault('lab-fault', { node, word, why: `it is none of none, ${Object.keys(faultRows).join('=, ')}=` });
    Object.assign(faults, { [name]: faultValue(node, word, row.kind, value) });
  }
  return faults;
}

function faultValue(node: string, word: string, kind: FaultRow['kind'], value: string): number | boolean | string {
  const wrong = (why: string) => fault('lab-fault', { node, word, why });
  if (kind === 'switch') {
    if (value !== 'on' && value !== 'off') throw wrong('it is on or off');
    return value === 'on';
  }
  if (kind === 'boot') {
    if (!bootTruths.includes(value as BootTruth)) throw wrong(`it is one of ${bootTruths.join(', ')}`);
    return value;
  }
  const number = value.trim() === '' ? Number.NaN : Number(value);
  const most = kind === 'chance' ? 1 : mostStallMs;
  if (!(number >= 0 && number <= most)) throw wrong(`it is a number from 0 to ${most}`);
  return number;
}

/** Those that are not as in an honest BMC, as they would be typed; empty: none. */
export const faultWords = (faults: BmcFaults): string[] =>
  Object.entries(faults)
    .filter(([name, value]) => value !== faultless[name as keyof BmcFaults])
    .map(([name, value]) => `${name}=${value === true ? 'on' : value === false ? 'off' : value}`);
