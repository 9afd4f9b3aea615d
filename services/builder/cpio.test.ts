import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { CPIO_CHARACTER_DEVICE, CPIO_DIRECTORY, CPIO_FILE, CPIO_PROGRAM, CPIO_SYMLINK, encodeCpio } from './cpio.ts';

describe('the initramfs writer', () => {
  const archive = encodeCpio([
    { path: 'bin', mode: CPIO_DIRECTORY },
    { path: 'bin/tool', mode: CPIO_PROGRAM, data: Buffer.from('#!/bin/sh\n') },
    { path: 'bin/sh', mode: CPIO_SYMLINK, data: Buffer.from('tool') },
    { path: 'dev', mode: CPIO_DIRECTORY },
    { path: 'dev/console', mode: CPIO_CHARACTER_DEVICE, device: [5, 1] },
    { path: 'odd', mode: CPIO_FILE, data: Buffer.from('12345') },
  ]);

  it('is read by cpio as it was meant', () => {
    const listing = execFileSync('cpio', ['-itvn', '--quiet'], { input: archive, encoding: 'utf8' }).trim().split('\n');
    const facts = listing.map((line) => line.trim().split(/\s+/)).map((words) => [words[0], words.at(-1)]);
    expect(facts).toEqual([
      ['drwxr-xr-x', 'bin'],
      ['-rwxr-xr-x', 'bin/tool'],
      ['lrwxrwxrwx', 'tool'],
      ['drwxr-xr-x', 'dev'],
      ['crw-------', 'dev/console'],
      ['-rw-r--r--', 'odd'],
    ]);
    expect(listing[4]).toContain('5,   1');
    expect(execFileSync('cpio', ['-i', '--quiet', '--to-stdout', 'odd'], { input: archive, encoding: 'utf8' })).toBe(
      '12345',
    );
  });

  it('can be followed by another archive', () => {
    expect(archive.length % 512).toBe(0);
    expect(archive.toString('latin1')).toContain('TRAILER!!!');
  });
});
