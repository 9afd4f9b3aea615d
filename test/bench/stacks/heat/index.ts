/** Debian's Heat, up and answering, inside a room. */
import {
  memoryOf,
  passingTree,
  startApis,
  startDatabase,
  startEngine,
  startKeystone,
  startRabbit,
  stop,
} from './services.ts';
import { type Engine, keystoneUrl } from './settings.ts';

export interface HeatPeer {
  readonly keystoneUrl: string;
  /** Ends the engine that runs, if any, and starts the other. */
  use(engine: Engine): Promise<void>;
  /** MiB of everything together, or of the programs whose command line has `part` in it. */
  memoryMib(part?: string): number;
}

export async function startHeat(root: string): Promise<HeatPeer> {
  const tree = passingTree(root);
  await Promise.all([startDatabase(tree), startRabbit(tree)]);
  await startKeystone(tree);
  await startApis(tree);
  let end = async () => {};
  return {
    keystoneUrl,
    async use(engine) {
      await end();
      const child = await startEngine(tree, engine);
      end = () => stop(child);
    },
    memoryMib: (part) => memoryOf(tree, part),
  };
}
