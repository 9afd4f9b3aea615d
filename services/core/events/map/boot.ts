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
  /** A boot has come to nothing for much longer than usual: where it stopped, why that may be, what to do. Times in ms. */
  'boot.silent': {
    text: string;
    step: string;
    awaits: string;
    cause: string;
    remedy: string;
    model: string;
    silentMs: number;
    usualMs: number;
    /** So many boots of the model have taught what is usual; 0: none. */
    boots: number;
  };
  /** A machine was given loaders and scripts time and again and is given none for a while. */
  'boot.loop': { text: string; mac: string };
  /** The discovery ramdisk has told what a machine is made of that no node is. */
  'boot.machine-discovered': {
    text: string;
    candidate: string;
    mac: string;
    vendor: string | null;
    product: string | null;
    bmcAddress: string | null;
  };
  /** Somebody else answers DHCP or PXE on the provisioning wire; and is not heard any more. */
  'boot.foreign-server': {
    text: string;
    interface: string;
    mac: string;
    address: string;
    kind: string;
    offered: string | null;
    bootFile: string | null;
  };
  'boot.foreign-server-gone': { text: string; interface: string; mac: string; address: string };
  /** Something on the wire that is no exchange: malformed packets, floods, failing sends. */
  'boot.trouble': { text: string; count: number };
}
