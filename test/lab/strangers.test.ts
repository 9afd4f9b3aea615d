/** The npm registry's packages `dhcp` and `tftp`, written by strangers, against ours: see test/conformance/network/matrix.ts. */
import { expect, it } from 'vitest';
import type { CaseResult } from '../conformance/main.ts';
import { matrix } from '../conformance/network/matrix.ts';

it('npm’s dhcp and tftp get from our servers what they ask for', async () => {
  const results: CaseResult[] = [];
  await matrix([], (result) => results.push(result));
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results).toHaveLength(4);
});
