import { expect, it } from 'vitest';
import type { House } from '../core/house.ts';
import type { Board } from './board.ts';
import { createRecord } from './record.ts';
import type { Vigil } from './vigil.ts';

/** What is told of a transfer of 3000 bytes in blocks of 512 that ends like this, and what the vigil hears of it. */
function told(end: 'done' | 'vanished', bytes: number): string[] {
  const lines: string[] = [];
  const record = createRecord({
    house: {
      recorder: { emit: (_kind: string, _subject: unknown, data: { text: string }) => lines.push(data.text) },
      operations: { wake: () => {} },
      clock: { now: () => 0, after: () => () => {} },
    } as unknown as House,
    board: { nodeAt: () => null, macAt: () => null } as unknown as Board,
    vigil: {
      reached: (_node: unknown, step: string) => lines.push(`reached ${step}`),
      broken: (_node: unknown, file: string) => lines.push(`broken ${file}`),
    } as unknown as Vigil,
    isCandidate: () => false,
    interface: 'br0',
    isProxy: false,
  });
  const transfer = { client: '192.0.2.2', path: 'snponly.efi', bytes, size: 3000, blockSize: 512, windowSize: 1 };
  record.tftp({ type: 'ended', transfer, end, reason: null, tookMs: 10, retransmitted: 2 } as never);
  return lines;
}

it('tells a client that left in the middle from one whose last acknowledgement was lost', () => {
  expect(told('done', 3000)).toEqual([
    'reached loader',
    'fetched snponly.efi by TFTP: 3000 B in 10 ms, 2 packets sent again',
  ]);
  expect(told('vanished', 2048)).toEqual([
    'broken snponly.efi',
    'stopped in the middle of snponly.efi (2048 B of 3000 B by TFTP) and said no more, 2 packets sent again',
  ]);
  expect(told('vanished', 2560)).toEqual([
    'was sent all of snponly.efi by TFTP (3000 B); that the last of it arrived was not acknowledged, 2 packets sent again',
  ]);
});
