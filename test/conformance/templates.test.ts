import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Dict, parseJson, type Value } from '../../services/orchestration/language/index.ts';
import { differences } from './compare.ts';
import publicFamilies from './public-families.json' with { type: 'json' };
import { outcomes } from './templates.ts';

// Only the cases written for this project may live here; those made from public repositories are read where they stand,
// by `npm run -s outcomes -- FILE.json`.
const folder = new URL('../cases/templates/', import.meta.url);

describe('templates as the real Heat sees them', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
    test(name, () => {
      const source = readFileSync(new URL(name, folder), 'utf8');
      const wanted = new Map(
        (parseJson(source) as Dict[]).map((item) => [item.get('id') as string, item.get('outcome')!]),
      );
      const wrong: Record<string, string[]> = {};
      let count = 0;
      for (const line of outcomes(source)) {
        count++;
        const id = line.get('id') as string;
        const found = differences(wanted.get(id)!, line.get('outcome') as Value);
        if (found.length > 0) wrong[id] = found;
      }
      expect(wrong).toEqual({});
      expect(count).toBe(wanted.size);
    });
  }

  test('says how many public cases are left out', () => {
    const shared = new URL('../../../shared/oracle/', import.meta.url);
    const total = Object.values(publicFamilies).reduce((sum, count) => sum + count, 0);
    const where = existsSync(shared) ? 'are run by npm run outcomes' : 'are left out: ../shared is absent';
    console.info(`${total} public cases of ${Object.keys(publicFamilies).length} families ${where}`);
    expect(total).toBeGreaterThan(1_500);
  });

  test('a comparison can fail', () => {
    const outcome = (value: number): Dict =>
      new Map<string, Value>([
        ['valid', true],
        ['outputs', new Map([['o', value]])],
      ]);
    expect(differences(outcome(1), outcome(2))).toEqual(['outputs']);
    expect(differences(outcome(1), new Map([['valid', false]]))).toEqual(['valid']);
    expect(differences(new Map([['result', 1]]), new Map([['result', 2]]))).toEqual(['result']);
  });
});
