import { cpuSeconds } from './command.ts';

/** What a build is doing right now. `line` is one line of output of the script at work. */
export interface BuildProgress {
  phase: string;
  element?: string;
  script?: string;
  line?: string;
}

export type OnProgress = (progress: BuildProgress) => void;

/** What one stage cost: wall seconds, and CPU seconds of this process with its children. */
export interface StageCost {
  stage: string;
  wall: number;
  cpu: number;
}

/** A build that cannot go on. `message` is a sentence for the operator; `tail` the last lines of whatever failed. */
export class BuildError extends Error {
  tail: string[];
  constructor(message: string, tail: string[] = []) {
    super(message);
    this.name = 'BuildError';
    this.tail = tail;
  }
}

export interface StageClock {
  costs: StageCost[];
  run: <T>(stage: string, work: () => Promise<T>) => Promise<T>;
}

/** Times the stages of a build one after the other; stages that overlap would count each other's CPU. */
export function stageClock(onProgress: OnProgress = () => {}): StageClock {
  const costs: StageCost[] = [];
  return {
    costs,
    async run(stage, work) {
      onProgress({ phase: stage });
      const wall = performance.now();
      const cpu = cpuSeconds();
      try {
        return await work();
      } finally {
        costs.push({
          stage,
          wall: Math.round(performance.now() - wall) / 1000,
          cpu: Math.round((cpuSeconds() - cpu) * 100) / 100,
        });
      }
    },
  };
}
