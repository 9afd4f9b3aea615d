export interface BaremetalEvents {
  'node.created': { driver: string; name: string | null };
  'node.updated': { fields: string[] };
  /** The reason is null when somebody asked for it. */
  'node.deleted': { name: string | null; reason: string | null };
  'node.provision-state': { from: string; to: string; event: string };
  'node.power-state': { from: string | null; to: string };
  'node.maintenance': { on: boolean; reason: string | null };
  /** The boot device, as the BMC reads it back. */
  'node.boot-device': { device: string; persistent: boolean };
  /** What the machine boots from now on when it asks. */
  'node.boot-intent': { intent: string; reason: string; powerCycle: number };
  /** A machine did not boot what its BMC had read back (`ignored`), or nothing was heard of it (`unheard`). */
  'node.boot-override': {
    device: 'pxe' | 'disk';
    way: 'once' | 'always' | 'again';
    verdict: 'ignored' | 'unheard';
    text: string;
    remedy: string;
  };
  /** A boot that went silent is begun anew by a reset. */
  'node.boot-retry': { attempt: number; of: number; because: string };
  'node.claimed': { server: string; project: string | null };
  'node.released': { server: string | null };
  /** A machine asked what to boot and got no token: the one of its power cycle is burnt. */
  'node.agent-refused': { mac: string; reason: string };
  'node.agent-lookup': { by: 'boot token' | 'addresses'; powerCycle: number };
  'node.agent-heartbeat': {
    first: boolean;
    version: string | null;
    callbackUrl: string;
    clockSkewSeconds: number | null;
  };
  'node.agent-command': { command: string; id: string; status: string; error: string | null };
  'node.agent-gone': { reason: string };
  /** Bytes of an image in chunks, by what became of them; fetched ones are compressed. `resumed`: connections that broke on the way, a number. */
  'node.image-written': {
    written: number;
    skipped: number;
    fetched: number;
    neighbours?: number;
    resumed?: number;
  };
  /** The serial line to the BMC. The offset points into the console's log; null where none is kept. */
  'node.console': {
    state: 'open' | 'taken over' | 'refused' | 'lost' | 'closed' | 'unrecorded';
    reason: string | null;
    /** Who made it open; null: the recording policy. */
    by: string | null;
    offset: number | null;
  };
  /** Who types from now on; null: nobody. */
  'node.console-writer': { who: string | null; from: string | null };
  /** A line that the machine said and that is worth telling (services/baremetal/console/milestones.ts). */
  'node.console-milestone': { milestone: string; level: 'step' | 'fault'; line: string; offset: number | null };
  /** The report card of its BMC; what is wrong with it, a sentence each. */
  'node.bmc-checked': { vendor: string; model: string; firmware: string; wrong: string[] };
  /** Our user on its BMC has another password, which a log-in has proven. */
  'node.bmc-password': { user: string };
  'node.inspected': { cpus: number | null; memoryMb: number | null; localGb: number | null; interfaces: number };
}
