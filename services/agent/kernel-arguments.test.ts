import { describe, expect, it } from 'vitest';
import { clockSkew } from './clock.ts';
import { readKernelArguments } from './kernel-arguments.ts';

describe('the kernel arguments', () => {
  it('tell all that the agent needs', () => {
    const line =
      'BOOT_IMAGE=vmlinuz console=ttyS0,115200 ipa-api-url=https://192.0.2.1:6385/,http://192.0.2.2:6385/baremetal uc-boot-token=tok-1 uc-time=1763680000 BOOTIF=01-52-54-00-DD-00-04 ' +
      'ipa-lookup-timeout=60 ipa-listen-port=9998 ipa-insecure=1 ipa-inspection-callback-url="https://192.0.2.1/v1/continue_inspection" quiet';
    expect(readKernelArguments(line)).toEqual({
      apiUrls: ['https://192.0.2.1:6385', 'http://192.0.2.2:6385/baremetal'],
      bootToken: 'tok-1',
      inspectionUrl: 'https://192.0.2.1/v1/continue_inspection',
      insecure: true,
      listenPort: 9998,
      lldpSeconds: 31,
      lookupTimeout: 60,
      lookupInterval: 1,
      time: 1763680000,
      bootMac: '52:54:00:dd:00:04',
    });
    expect(readKernelArguments('ipa-api-url=http://a')).toEqual({
      apiUrls: ['http://a'],
      insecure: false,
      listenPort: 9999,
      lldpSeconds: 31,
      lookupTimeout: 600,
      lookupInterval: 1,
    });
  });

  it.each([
    ['quiet', /hold no ipa-api-url/],
    ['ipa-api-url=mdns', /"mdns", which is no URL/],
    ['ipa-api-url=http://a ipa-listen-port=x', /ipa-listen-port is "x", not a number/],
    ['ipa-api-url=http://a uc-time=-5', /uc-time is "-5", not a number/],
  ])('%j is refused with a sentence', (line, sentence) => {
    expect(() => readKernelArguments(line)).toThrow(sentence);
  });

  it('a clock of 2001 is behind, one of next year is ahead', () => {
    const now = 1_763_680_000;
    expect(clockSkew(now, 978_307_205, 5)).toBe(978_307_200 - now);
    expect(clockSkew(now, now + 31_536_000)).toBe(31_536_000);
  });
});
