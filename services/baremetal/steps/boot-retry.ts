/**
 * A boot that went silent before its script is given another try: reset, from the network once more. boot then hands out
 * the next loader of its ladder, so a machine that the first one does not suit needs nobody to walk there. One that booted its
 * disk although its BMC had read the network back is told in the next way (services/power/boot-ways.ts), and reset too.
 */
import type { EventMap } from '../../core/events/index.ts';
import type { Run } from '../../core/operations/index.ts';
import { nextWay } from '../../power/index.ts';
import { bmcOf, orderBoot, wayOf } from '../change.ts';
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
  /** It booted its disk instead: the way in which it was told was not obeyed. */
  let astray: EventMap['node.boot-override'] | null = null;
  for (const event of events) {
    if (event.kind === 'node.boot-intent') tries = 0;
    if (event.kind === 'node.boot-retry') tries += 1;
    if (event.kind === 'node.boot-intent' || event.kind === 'node.boot-retry') astray = null;
    if (event.kind === 'node.boot-intent' || event.kind === 'node.boot-retry' || tellsOfBoot(event)) silent = null;
    if (event.kind === 'boot.silent') silent = event.data as { step: string; cause: string };
    if (event.kind === 'node.boot-override') astray = event.data as EventMap['node.boot-override'];
  }
  const isAstray = astray?.device === 'pxe' && astray.verdict === 'ignored';
  const way = isAstray && astray ? nextWay(astray.way) : wayOf(node, false);
  const because = isAstray && astray ? astray.text : silent && worthAnother.has(silent.step) ? silent.cause : null;
  if (because === null || way === null || tries >= most) return;
  await run.assertHeld(commandMs);
  const bmc = bmcOf(ground, node);
  try {
    await orderBoot(ground, node, { device: 'pxe', persistent: way !== 'once' }, run.signal, { way });
    await bmc.setPower('reboot', run.signal);
    // The driver does so by itself once its kind is known to need it.
    if (way === 'again' && wayOf(node, false) !== 'again') {
      await orderBoot(ground, node, { device: 'pxe', persistent: true }, run.signal, { way });
      await bmc.setPower('reboot', run.signal);
    }
  } catch (error) {
    run.signal.throwIfAborted();
    // Told once; the wait for the agent goes on, with boot's own words for it.
    run.emit('node.boot-retry', { attempt: most, of: most, because: `the BMC refused: ${(error as Error).message}` });
    return;
  }
  run.emit('node.boot-retry', { attempt: tries + 1, of: most, because });
}
