/** The steps of a netboot, as a table; and why a machine may go silent after each, as another. Pure. */

export const bootSteps = [
  'power-on',
  'asks',
  'loader',
  'second',
  'script',
  'kernel',
  'ramdisk',
  'lookup',
  'heartbeat',
] as const;
export type BootStep = (typeof bootSteps)[number];

export interface StepRow {
  /** Completes "since …": what was last heard. */
  readonly heard: string;
  /** Completes "waits for …". */
  readonly awaits: string;
  /** ms until the next step where no boot of the model has been seen: a slow real machine. */
  readonly usualMs: number;
}

export const stepTable: Readonly<Record<Exclude<BootStep, 'heartbeat'>, StepRow>> = {
  'power-on': {
    heard: 'it was switched on',
    awaits: 'the machine to ask for an address by DHCP',
    usualMs: 150_000,
  },
  asks: {
    heard: 'its firmware was given an address and a boot file',
    awaits: 'the machine to fetch its boot program (DHCP was answered)',
    usualMs: 8_000,
  },
  loader: {
    heard: 'it fetched its boot program',
    awaits: 'the boot program to ask for an address (it was fetched)',
    usualMs: 15_000,
  },
  second: {
    heard: 'its boot program was answered',
    awaits: 'the boot program to fetch its script',
    usualMs: 10_000,
  },
  script: {
    heard: 'it fetched its script',
    awaits: 'the machine to fetch the ramdisk’s kernel',
    usualMs: 8_000,
  },
  kernel: {
    heard: 'it fetched the kernel',
    awaits: 'the machine to fetch the ramdisk',
    usualMs: 30_000,
  },
  ramdisk: {
    heard: 'it fetched the ramdisk',
    awaits: 'the agent to start and look its node up',
    usualMs: 60_000,
  },
  lookup: {
    heard: 'its agent looked the node up',
    awaits: 'the agent’s first heartbeat',
    usualMs: 15_000,
  },
};

/** What else is known of a machine that went silent. */
export interface Evidence {
  readonly name: string;
  /** The newest refusal since it was switched on. */
  readonly refusal: { readonly file: string; readonly reason: string } | null;
  /** A transfer that stopped in the middle. */
  readonly broken: { readonly file: string; readonly bytes: number; readonly size: number } | null;
  /** MACs that no node has and that have asked since. */
  readonly strangers: readonly string[];
  /** `192.0.2.77 (52:54:00:…)` */
  readonly foreign: readonly string[];
  /** The DHCP answer held an address and no boot file. */
  readonly hadNoFile: boolean;
  readonly loader: string | null;
}

export interface CauseRow {
  readonly at?: readonly BootStep[];
  readonly when?: (evidence: Evidence) => boolean;
  readonly cause: (evidence: Evidence) => string;
  readonly remedy: (evidence: Evidence) => string;
}

const console_ = 'Look at its console (`undercloud node console`).';

/** The first row that fits tells. */
export const causeTable: readonly CauseRow[] = [
  {
    when: ({ refusal }) => refusal !== null && /does not exist|no boot file/.test(refusal.reason),
    cause: ({ refusal }) => `${refusal?.file} is not among the boot files`,
    remedy: () => 'Run `undercloud bootstrap` again, which puts loaders and ramdisk there; then power-cycle the node.',
  },
  {
    when: ({ refusal }) => refusal !== null,
    cause: ({ refusal }) => `${refusal?.file} was refused to it: ${refusal?.reason}`,
    remedy: () => 'Power-cycle the node; each boot gets a token of its own.',
  },
  {
    when: ({ broken }) => broken !== null,
    cause: ({ broken }) =>
      `the transfer of ${broken?.file} stopped after ${broken?.bytes} of ${broken?.size} bytes: packets are lost between it and the undercloud`,
    remedy: () =>
      'Look at the switch port: errors, duplex, MTU (no jumbo frames towards firmware), and other traffic on it.',
  },
  {
    at: ['power-on'],
    when: ({ strangers }) => strangers.length > 0,
    cause: ({ strangers }) =>
      `${strangers.join(' and ')} asked for an address since, and no node has that MAC: it may boot from a card that is not enrolled`,
    remedy: ({ strangers, name }) =>
      `If that card is the node’s: \`baremetal port create --node ${name} ${strangers[0]}\`; else choose the enrolled card in its firmware’s boot order.`,
  },
  {
    at: ['power-on', 'asks'],
    when: ({ foreign }) => foreign.length > 0,
    cause: ({ foreign }) =>
      `${foreign.join(' and ')} answers DHCP there too, and the machine may have taken that offer`,
    remedy: () => 'Stop that server, or put the nodes on a network of their own.',
  },
  {
    at: ['power-on'],
    cause: () => 'it does not boot from the network, or its test of itself takes longer than ever',
    remedy: ({ name }) =>
      `${console_} Check cable and VLAN, the firmware’s boot order, and that the MAC of the card that boots is enrolled (\`undercloud node show ${name}\`).`,
  },
  {
    at: ['asks'],
    when: ({ hadNoFile }) => hadNoFile,
    cause: () => 'it was given no boot file, so the firmware went on to its next boot device',
    remedy: () => 'The line before says why there was none.',
  },
  {
    at: ['asks'],
    cause: ({ loader }) =>
      `its request for ${loader ?? 'the boot file'} does not arrive: TFTP (UDP 69) or HTTP (TCP 8088) is blocked on the way`,
    remedy: () => 'Let UDP 69, the UDP ports above 1024 and TCP 8088 pass between the node and the undercloud.',
  },
  {
    at: ['loader'],
    cause: ({ loader }) =>
      `${loader ?? 'the loader'} does not start: Secure Boot refuses what is not signed, or it finds no driver for the card`,
    remedy: () =>
      'Power-cycle the node: after two failures the next loader is given. With Secure Boot on, set the capability secure_boot:true.',
  },
  {
    at: ['second'],
    cause: () => 'its boot program got its address and no further: TCP 8088 (GRUB: UDP 69) is blocked on the way',
    remedy: () => `Let TCP 8088 pass between the node and the undercloud. ${console_}`,
  },
  {
    at: ['script', 'kernel'],
    cause: () => 'the boot program cannot load what its script names: too little memory, or TCP 8088 breaks off',
    remedy: () => `${console_} 512 MB of memory are needed.`,
  },
  {
    at: ['ramdisk'],
    cause: () => 'the ramdisk does not come up: it lacks a driver for the card, or the machine has too little memory',
    remedy: () => `${console_} The ramdisk says there where it stopped; 512 MB of memory are needed.`,
  },
  {
    cause: () => 'the agent cannot reach the API, or the API cannot be reached from there',
    remedy: () => `${console_} The agent says there why it cannot reach the API; check the clock and TCP 6385.`,
  },
];

export function causeOf(step: BootStep, evidence: Evidence): { cause: string; remedy: string } {
  const row = causeTable.find((one) => (!one.at || one.at.includes(step)) && (!one.when || one.when(evidence)));
  // The last row fits everything.
  return { cause: row?.cause(evidence) ?? '', remedy: row?.remedy(evidence) ?? '' };
}
