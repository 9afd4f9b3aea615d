/** Combinations of diskimage-builder's own elements, built by both builders: trees, packages and enabled units compared, trees and disks booted. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { probeMirror } from '../../../services/builder/mirrors.ts';
import type { CaseResult, Matrix } from '../main.ts';
import { type Boots, bootBoth, type Outcome } from './boot-both.ts';
import { type BothBuilt, buildBoth, type Combination, discard } from './build-both.ts';
import { COMBINATIONS } from './combinations.ts';

/** Units that did not come up, as `systemctl list-units` names them. */
const failedUnits = ({ checks }: Outcome): string[] =>
  checks
    .filter(({ name, passed }) => name === 'system is running' && !passed)
    .flatMap(({ output }) => output.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? ''))
    .sort();

/** Up, or as far up as the other one: a container has no disk that growroot could grow. */
function asGood(own: Outcome, peer: Outcome): boolean {
  const failed = failedUnits(own);
  return own.passed || (failed.length > 0 && failed.every((unit) => failedUnits(peer).includes(unit)));
}

function told(outcome: Outcome): string {
  const up = outcome.passed ? 'up' : `not up (${failedUnits(outcome).join(', ') || 'no answer'})`;
  return `${up} in ${outcome.seconds.toFixed(1)} s`;
}

function judged(combination: Combination, both: BothBuilt, boots: readonly Boots[]): CaseResult {
  const { unexplained, packages, units, explained, ours } = both;
  const passed =
    unexplained.length + packages.length + units.length === 0 && boots.every((each) => asGood(each.ours, each.peer));
  return {
    name: `${combination.name}: ${combination.elements.join(' ')}`,
    passed,
    details: [
      `${ours.manifest.packages.length} packages, ${packages.length} differ; ${both.unitCount} enabled units, ${units.length} differ; ${both.pathCount} paths, ${unexplained.length} differ unexplained`,
      ...boots.map(({ how, ours: own, peer }) => `${how}: ours ${told(own)}, diskimage-builder’s ${told(peer)}`),
      ...unexplained.slice(0, 40),
      ...packages.slice(0, 20),
      ...units.slice(0, 20),
      ...boots.flatMap(({ how, ours: own, peer }) =>
        Object.entries({ ours: own, 'diskimage-builder’s': peer }).flatMap(([whose, { checks }]) =>
          checks.filter((each) => !each.passed).map((each) => `${how}, ${whose}: ${each.name}: ${each.output}`),
        ),
      ),
      ...[...explained].map(([reason, count]) => `explained, ${count} times: ${reason}`),
    ],
  };
}

/** Why a combination cannot be built here: its mirror does not answer. */
async function hindrance({ environment = {} }: Combination, work: string): Promise<string | undefined> {
  const { DIB_DISTRIBUTION_MIRROR: mirror, DIB_RELEASE: release = '' } = environment;
  if (mirror === undefined) return undefined;
  const reason = await probeMirror(mirror, release, work);
  return reason === undefined ? undefined : `left out: mirror ${mirror} not reachable from here (${reason})`;
}

export const matrix: Matrix = async (only, report) => {
  await ensurePackages(['images', 'elements', 'lab', 'tests'], (line) => console.error(line));
  const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
  await mkdir(join(cache, 'conformance'), { recursive: true });
  const chosen = COMBINATIONS.filter(({ name }) => only.length === 0 || only.includes(name));
  for (const combination of chosen) {
    const { name } = combination;
    try {
      const leftOut = await hindrance(combination, join(cache, 'conformance'));
      if (leftOut !== undefined) {
        report({ name, passed: true, leftOut, details: [] });
        continue;
      }
      const { firmware } = combination;
      const both = await buildBoth(combination, cache, { ours: ['raw'], peerDisk: firmware !== undefined });
      const boots = await bootBoth(both, { cache: join(cache, 'builder'), ...(firmware && { firmware }) });
      report(judged(combination, both, boots));
      await discard(both);
    } catch (error) {
      report({ name, passed: false, details: (error as Error).message.split('\n').slice(0, 20) });
    }
  }
};
