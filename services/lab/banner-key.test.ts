import { expect, it } from 'vitest';
import { bannerKey } from './banner-key.ts';

const said = 'iPXE (http://ipxe.org)\r\nPress Ctrl-B for the iPXE command line...\r\nnet0: ...';

it('presses a key once for each banner, in whatever pieces it comes', () => {
  for (let size = 1; size <= said.length; size += 1) {
    const typed: string[] = [];
    const hear = bannerKey((data) => typed.push(String(data)));
    for (let stage = 0; stage < 2; stage += 1)
      for (let at = 0; at < said.length; at += size) hear(Buffer.from(said.slice(at, at + size)));
    expect(typed).toEqual(['\r', '\r']);
  }
});

it('leaves it to who is at the console, and to other words', () => {
  const typed: Buffer[] = [];
  bannerKey(
    (data) => typed.push(data),
    () => false,
  )(Buffer.from(said));
  bannerKey((data) => typed.push(data))(Buffer.from('Press Ctrl-C, Press Ctrl-'));
  expect(typed).toEqual([]);
});
