import { expect, it } from 'vitest';
import { handOver } from './descriptors.ts';

it('numbers what is handed to `serve` from 3 on, link by link, each once', () => {
  const fds = { dhcp: 21, api: 20, boot: 22, further: [{ dhcp: 30, tftp: 31 }, { dhcp: 40 }] };
  expect(handOver(fds)).toEqual({
    numbers: { api: 3, boot: 4, dhcp: 5, further: [{ dhcp: 6, tftp: 7 }, { dhcp: 8 }] },
    handed: [20, 22, 21, 30, 31, 40],
  });
  expect(handOver({ api: 9, further: [] })).toEqual({ numbers: { api: 3 }, handed: [9] });
});
