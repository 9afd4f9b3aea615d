/**
 * A boot that went silent before its script is given another try: reset, from the network once more. boot then hands out
 * the next loader of its ladder, so a machine that the first one does not suit needs nobody to walk there.
 */
import type { Run } from '../../core/operations/index.ts';
import { bmcOf, bootsByUefi } from '../change.ts';
import { type Ground, nodeSubject } from '../ground.ts';
import type { NodeRow } from '../store/nodes.ts';
import { tellsOfBoot } from './boot-stage.ts';

/** Where a reset may help. Later on it is the ramdisk that stands still, and its console has the reason. */
const worthAnother: ReadonlySet<string> = new Set(['asks', 'loader', 'second']);
/** Two for each of three loaders; the first was no retry. */
const most = 5;
/** ms that two BMC commands may take: the lease must outlast them. */
const commandMs = 20_000;
const lookBack = 200;

/** Resets the machine if boot has told of its silence since it was last heard of. A BMC that refuses leaves all as it is. */
export async function retryBoot<Params>(ground: Ground, run: Run<Params>, node: NodeRow): Promise<void> {
  const events = await ground.house.recorder.timeline(nodeSubject(node.uuid), { limit: lookBack });
  let tries = 0;
  let silent: { step: string; cause: string } | null = null;
  for (const event of events) {
    if (event.kind === 'node.boot-intent') tries = 0;
    if (event.kind === 'node.boot-retry') tries += 1;
    if (event.kind === 'node.boot-intent' || event.kind === 'node.boot-retry' || tellsOfBoot(event)) silent = null;
    if (event.kind === 'boot.silent') silent = event.data as { step: string; cause: string };
  }
  if (!silent || !worthAnother.has(silent.step) || tries >= most) return;
  await run.assertHeld(commandMs);
  const bmc = bmcOf(ground, node);
  try {
    await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: bootsByUefi(node) }, run.signal);
    await bmc.setPower('reboot', run.signal);
  } catch (error) {
    run.signal.throwIfAborted();
    // Told once; the wait for the agent goes on, with boot's own words for it.
    run.emit('node.boot-retry', { attempt: most, of: most, because: `the BMC refused: ${(error as Error).message}` });
    return;
  }
  run.emit('node.boot-retry', { attempt: tries + 1, of: most, because: silent.cause });
}
