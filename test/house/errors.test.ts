import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorTable } from '../../services/core/errors/index.ts';

const dir = resolve(import.meta.dirname, '../../services/core/errors');
const rows = Object.entries(errorTable);

describe('the error table', () => {
  it('gives each error a sentence and a sane status', () => {
    for (const [code, row] of rows) {
      expect(row.sentence.trim(), code).not.toBe('');
      expect(row.status, code).toBeGreaterThanOrEqual(400);
      expect(row.status, code).toBeLessThan(600);
    }
  });

  it('has each code in one file of rows only, and every file of rows in it', async () => {
    const codes: string[] = [];
    for (const file of readdirSync(dir).filter((name) => name !== 'index.ts')) {
      const module: Record<string, object> = await import(join(dir, file));
      codes.push(...Object.values(module).flatMap((table) => Object.keys(table)));
    }
    expect(codes.sort()).toEqual(rows.map(([code]) => code).sort());
  });
});
