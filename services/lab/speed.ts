import { Worker } from 'node:worker_threads';

/**
 * How slow this machine is at the moment, compared with the one on which the project's deadlines were chosen (two idle cores of an AMD
 * EPYC without KVM). Deadlines are multiplied by it.
 */

/** Milliseconds that one round of `work` takes on the reference machine when idle: the median of 100 rounds. */
const referenceMs = 8.4;
const rounds = 15;

// What an emulated guest costs is integer arithmetic, unpredictable branches and loads that miss the first cache: so is this.
const source = `
const { parentPort, workerData } = require('node:worker_threads');
const table = new Int32Array(1 << 16);
const work = () => {
  let state = 0x2545f491, sum = 0;
  for (let i = 0; i < 1_500_000; i++) {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    const at = state & 0xffff;
    if (state & 0x10000) table[at] = (table[at] + i) | 0; else sum = (sum + table[at]) | 0;
  }
  return sum;
};
work();
const times = [];
for (let round = 0; round < workerData; round++) {
  const from = performance.now();
  work();
  times.push(performance.now() - from);
}
parentPort.postMessage(times);
`;

/** Milliseconds of each of a few rounds of fixed work, in a thread of its own (about 0.17 s in all on an idle machine). */
export function probeRounds(): Promise<number[]> {
  return new Promise((resolve, reject) => {
    // Without the parent's flags: --input-type=module would change what the source is.
    const worker = new Worker(source, { eval: true, workerData: rounds, execArgv: [] });
    worker.once('message', (times: number[]) => resolve(times));
    worker.once('error', reject);
  });
}

let measured: Promise<number> | undefined;

/**
 * The factor by which deadlines grow on this machine: about 1 on an idle machine like the reference, 2 on one half as fast or shared with as
 * much other work. Measured once per process (load included) unless `again` is set. Never below 1: a faster machine has no use for
 * shorter deadlines.
 */
export function machineSpeed(again = false): Promise<number> {
  if (again || !measured) {
    measured = probeRounds().then((times) => {
      const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? referenceMs;
      return Math.max(1, Math.round((median / referenceMs) * 100) / 100);
    });
  }
  return measured;
}
