import { type OptionMap, readOptions, wireLength, writeOption } from './options.ts';

/**
 * Options within an option, laid out like the packet's own with PAD and END: PXE's 43 (PXE 2.1 section 2.2.1) and iPXE's 175.
 * Sub-option values are bytes; some firmware ends the list with END, some does not.
 */
export function readEncapsulated(bytes: Uint8Array): OptionMap | undefined {
  const parts: OptionMap = new Map();
  return readOptions(bytes, parts, 'encapsulated options') === undefined ? parts : undefined;
}

/** Written with END, as dnsmasq and the PXE specification do. */
export function writeEncapsulated(parts: Iterable<readonly [number, Uint8Array]>): Uint8Array {
  const list = [...parts];
  const bytes = new Uint8Array(list.reduce((sum, [, value]) => sum + wireLength(value), 1));
  let at = 0;
  for (const [code, value] of list) at = writeOption(bytes, at, code, value);
  bytes[at] = 255;
  return bytes;
}

/** PXE discovery control with bit 3: take the boot file of this offer, ask no boot server, show no menu (PXE 2.1 table 2-1, tag 6). */
export const PXE_BOOT_FILE_ONLY = writeEncapsulated([[6, Uint8Array.of(8)]]);

/** iPXE's no-pxedhcp: do not wait 2 to 3 s for ProxyDHCP offers. */
export const IPXE_NO_PROXY_WAIT = writeEncapsulated([[0xb0, Uint8Array.of(1)]]);
