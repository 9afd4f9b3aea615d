/** Combinations of diskimage-builder's own elements, built by both builders: trees, packages and enabled units compared, trees and disks booted. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import type { BootResult } from '../../../services/builder/index.ts';
import { probeMirror } from '../../../services/builder/mirrors.ts';
import type { CaseResult, Matrix } from '../main.ts';
import { type Boots, bootBoth } from './boot-both.ts';
import { type BothBuilt, buildBoth, type Combination, discard } from './build-both.ts';
import { COMBINATIONS } from './combinations.ts';

const told = ({ passed, seconds }: Pick<BootResult, 'passed' | 'seconds'>): string =>
  passed ? `up in ${seconds.toFixed(1)} s` : 'NOT UP';

function judged(combination: Combination, both: BothBuilt, boots: readonly Boots[]): CaseResult {
  const { unexplained, packages, units, explained, ours } = both;
  const passed = unexplained.length + packages.length + units.length === 0 && boots.every((each) => each.ours.passed);
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
