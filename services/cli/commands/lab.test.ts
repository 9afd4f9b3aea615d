import { expect, it } from 'vitest';
import { faultRows } from '../../lab/index.ts';
import { faultHelp } from './lab.ts';

it('helps with every fault that a BMC of ours can have', () => {
  for (const name of Object.keys(faultRows)) expect(faultHelp).toMatch(new RegExp(`\\b${name}\\b`));
});
