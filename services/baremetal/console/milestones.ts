/**
 * What a machine says on its serial line that belongs into its timeline: a table of patterns, each with what it means. A line is
 * looked at once, by one expression of all patterns; only one that hits is told apart.
 */
import { stripVTControlCharacters } from 'node:util';

export interface Milestone {
  readonly name: string;
  /** `fault`: the machine will not come up by itself, or has lost something. */
  readonly level: 'step' | 'fault';
  readonly pattern: RegExp;
  /** Of what has no newline at its end, such as a prompt. */
  readonly open?: true;
}

/** Patterns come from the programs' own sources (SeaBIOS, OVMF, iPXE, GRUB, Linux, systemd, cloud-init); the first that hits wins. */
export const milestones: readonly Milestone[] = [
  { name: 'kernel-panic', level: 'fault', pattern: /Kernel panic - not syncing/ },
  {
    name: 'kernel-oops',
    level: 'fault',
    pattern: /BUG: unable to handle|BUG: kernel NULL pointer|Oops: [0-9a-f]{4}|general protection fault|kernel BUG at /,
  },
  { name: 'lockup', level: 'fault', pattern: /soft lockup - CPU#|hard LOCKUP|rcu: INFO: rcu_\w+ .*stall/ },
  { name: 'hung-task', level: 'fault', pattern: /INFO: task \S+ blocked for more than/ },
  { name: 'out-of-memory', level: 'fault', pattern: /Out of memory: Kill|invoked oom-killer/ },
  { name: 'machine-check', level: 'fault', pattern: /\[Hardware Error\]|mce: .*Machine [Cc]heck/ },
  {
    name: 'disk-error',
    level: 'fault',
    pattern: /I\/O error, dev |EXT4-fs error|XFS \(\S+\): (?:Corruption|Internal error)|critical medium error/,
  },
  {
    name: 'no-root',
    level: 'fault',
    pattern: /VFS: Unable to mount root fs|Gave up waiting for root file system|ALERT! .* does not exist/,
  },
  {
    name: 'emergency-mode',
    level: 'fault',
    pattern: /You are in emergency mode|Entering emergency mode|Enter root password .*maintenance/,
  },
  {
    name: 'no-boot-device',
    level: 'fault',
    pattern: /No bootable device|No bootable option or device|Operating system not found|BdsDxe: No bootable/i,
  },
  {
    name: 'network-boot-failed',
    level: 'fault',
    pattern: /PXE-E\d\d|No more network devices|Could not boot image|No configuration methods succeeded/,
  },
  {
    name: 'firmware',
    level: 'step',
    pattern: /^SeaBIOS \(version|^UEFI firmware \(version|BdsDxe: (?:loading|starting) /,
  },
  { name: 'ipxe', level: 'step', pattern: /^iPXE \d|^iPXE initialising/ },
  { name: 'boot-loader', level: 'step', pattern: /GNU GRUB +version|Welcome to GRUB|^SYSLINUX \d/ },
  { name: 'kernel', level: 'step', pattern: /Linux version \d/ },
  { name: 'cloud-init-done', level: 'step', pattern: /Cloud-init v\. \S+ finished at/ },
  { name: 'system-down', level: 'step', pattern: /reboot: (?:Power down|Restarting system|System halted)/ },
  { name: 'login-prompt', level: 'step', open: true, pattern: /^\S+ login: ?$/ },
];

const any = new RegExp(milestones.map(({ pattern }) => `(?:${pattern.source})`).join('|'), 'i');

/** @param text a line without control characters */
export function milestoneOf(text: string): Milestone | null {
  if (!any.test(text)) return null;
  return milestones.find(({ pattern }) => pattern.test(text)) ?? null;
}

/** What is left of console bytes for a reader: no control sequences, nothing that moves a terminal that shows it. */
export const plainText = (raw: string): string =>
  stripVTControlCharacters(raw).replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, '');

/** A line that never ends is cut; a firmware's menu draws screens without one newline. */
const mostLineBytes = 4_096;
const mostShown = 200;

export interface Sighting {
  readonly milestone: Milestone;
  readonly text: string;
  /** Of the line's first byte, counted as the caller counts. */
  readonly offset: number;
}

/** Cuts a stream of bytes into lines and reports those that are milestones, each once. */
export class MilestoneReader {
  #partial: Buffer = Buffer.alloc(0);
  #partialAt = 0;
  #seenOpen = false;

  /** @param offset of the chunk's first byte */
  read(chunk: Buffer, offset: number): Sighting[] {
    const found: Sighting[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      if (end < 0) break;
      const at = this.#partial.length > 0 ? this.#partialAt : offset + from;
      const line =
        this.#partial.length > 0
          ? Buffer.concat([this.#partial, chunk.subarray(from, end)])
          : chunk.subarray(from, Math.min(end, from + mostLineBytes));
      this.#partial = empty;
      if (!this.#seenOpen) this.#look(line, at, found, false);
      this.#seenOpen = false;
      from = end + 1;
    }
    if (from < chunk.length) {
      if (this.#partial.length === 0) this.#partialAt = offset + from;
      const room = mostLineBytes - this.#partial.length;
      if (room > 0) this.#partial = Buffer.concat([this.#partial, chunk.subarray(from, from + room)]);
      // A prompt waits for its answer on an open line.
      if (!this.#seenOpen && this.#partial.length < 256 && endsLikePrompt(this.#partial))
        this.#seenOpen = this.#look(this.#partial, this.#partialAt, found, true);
    }
    return found;
  }

  /** The stream was interrupted: what comes next is another line. */
  reset(): void {
    this.#partial = empty;
    this.#seenOpen = false;
  }

  #look(line: Buffer, offset: number, found: Sighting[], open: boolean): boolean {
    const text = plainText(line.toString('utf8')).trimEnd();
    const milestone = milestoneOf(text);
    if (!milestone || (milestone.open ?? false) !== open) return false;
    found.push({ milestone, text: text.slice(0, mostShown), offset });
    return true;
  }
}

const empty = Buffer.alloc(0);
const endsLikePrompt = (line: Buffer): boolean =>
  line.at(-1) === 0x3a || (line.at(-1) === 0x20 && line.at(-2) === 0x3a);
