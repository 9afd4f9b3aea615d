import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cheapRefusal, chooseAcceleration, probeGuests } from './acceleration.ts';

test('no device, or a processor without the flag, is refused without a try', () => {
  expect(cheapRefusal('flags\t\t: fpu vmx sse\n', false)).toContain('/dev/kvm');
  expect(cheapRefusal('flags\t\t: fpu sse\n', true)).toContain('neither vmx nor svm');
  // A word that only contains the flag's name is not the flag.
  expect(cheapRefusal('flags\t\t: fpu avx512_vmxx svm_lock\n', true)).toContain('neither');
  expect(cheapRefusal('flags\t\t: fpu vmx sse\n', true)).toBeUndefined();
  expect(cheapRefusal('flags\t\t: fpu svm\n', true)).toBeUndefined();
});

test('a kernel is the preferred guest', () => {
  const boot = mkdtempSync(join(tmpdir(), 'uc-lab-boot-'));
  try {
    writeFileSync(join(boot, 'vmlinuz-6.1'), '');
    expect(probeGuests(undefined, boot)[0]?.arguments).toContain(join(boot, 'vmlinuz-6.1'));
    expect(probeGuests(join(boot, 'absent'), boot)[0]?.arguments).toContain(join(boot, 'vmlinuz-6.1'));
  } finally {
    rmSync(boot, { recursive: true, force: true });
  }
});

test('a verdict holds as long as the machine stays up', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'uc-lab-kvm-'));
  const cache = join(directory, 'acceleration.json');
  try {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const kept = { acceleration: 'kvm', reason: 'it was tried' };
    writeFileSync(cache, JSON.stringify({ bootId, ...kept }));
    expect(await chooseAcceleration(cache, undefined, () => {})).toEqual(kept);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
