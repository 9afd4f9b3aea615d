/** `text` is the whole of it in one sentence for an operator. */
export interface BootEvents {
  /** One DHCP request and its answer; the duration is the answer's. */
  'dhcp.exchange': {
    text: string;
    mac: string | null;
    message: string;
    /** `UEFI PXE`, `BIOS iPXE`, `the running system` */
    client: string;
    outcome: string;
    address: string | null;
    bootFile: string | null;
    reason: string | null;
    /** So many requests does this row stand for (refusals of one client are gathered). */
    count: number;
  };
  /** What the machine was told to boot, and why. */
  'boot.decision': { text: string; mac: string; client: string; intent: string; answer: string; because: string };
  'tftp.transfer': {
    text: string;
    file: string;
    bytes: number;
    size: number;
    blockSize: number;
    windowSize: number;
    retransmitted: number;
    end: string;
  };
  'http.fetch': { text: string; method: string; file: string; status: number; bytes: number; size: number };
  /** At most once a second while a file is being fetched. */
  'http.progress': { file: string; bytes: number; size: number };
  /** A machine that no node has asked for an address. At most one a minute for each MAC. */
  'boot.unknown-machine': { text: string; mac: string; client: string };
  /** A request for a boot file by a machine that has no right to it. */
  'boot.refused': { text: string; address: string; file: string };
  /** iPXE was spared its wait for IPv6. */
  'ra.answered': { text: string };
  /** Something on the wire that is no exchange: malformed packets, floods, failing sends. */
  'boot.trouble': { text: string; count: number };
}
