/** Differences between diskimage-builder's trees and ours that are meant, each with its reason. What no row covers fails the comparison. */
export interface Explanation {
  where: RegExp;
  /** Which kinds of difference it covers. */
  kinds: readonly (keyof import('./compare-trees.ts').TreeDifferences)[];
  reason: string;
  /** Of a file's contents: what has to be the same all the same. */
  alike?: (peer: Buffer, ours: Buffer) => boolean;
}

/** Bytecode begins with how it is checked, 16 bytes (PEP 552); the code comes after. */
const sameCode = (peer: Buffer, ours: Buffer): boolean => peer.subarray(16).equals(ours.subarray(16));

/** shadow(5): the third field is a day; a password's salt is drawn anew each time. */
const accounts = (shadow: Buffer): string =>
  shadow
    .toString()
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, password = '', , ...rest]) => [name, password.replace(/^\$.*/s, 'a password'), ...rest].join(':'))
    .join('\n');

const withoutIds = (text: Buffer): string[] =>
  text
    .toString()
    .split('\n')
    .filter((line) => /^\s*(linux|initrd|set (timeout|default)|serial|terminal_\w+)\s/.test(line))
    .map((line) => line.trim());

export const EXPLAINED: readonly Explanation[] = [
  {
    where: /^dev(\/|$)/,
    kinds: ['onlyPeer', 'onlyOurs', 'mode', 'kind'],
    reason:
      'diskimage-builder shares the host’s /dev with the chroot and copies what lies there; the image gets a devtmpfs at boot',
  },
  {
    where: /^(proc|sys)$/,
    kinds: ['onlyOurs'],
    reason: 'diskimage-builder leaves the two empty directories out of its archive; a kernel wants them to mount on',
  },
  {
    where: /^run(\/|$)/,
    kinds: ['onlyPeer', 'onlyOurs', 'mode', 'content', 'kind'],
    reason: 'a tmpfs at boot, and here during the build too',
  },
  {
    where: /__pycache__\/.*\.pyc$/,
    kinds: ['content', 'onlyPeer', 'onlyOurs'],
    alike: sameCode,
    reason:
      'with SOURCE_DATE_EPOCH Python writes bytecode that is checked by the source’s hash, the same in every build',
  },
  { where: /^boot\/initrd/, kinds: ['content'], reason: 'made once, from a list of drivers, after all packages' },
  {
    where: /^boot\/grub\/(i386-pc\/core\.img|x86_64-efi\/(core|grub)\.efi|grubenv)$/,
    kinds: ['content', 'onlyPeer'],
    reason: 'GRUB’s core is written into the disk and not kept beside it',
  },
  {
    where: /^boot\/efi(\/|$)/,
    kinds: ['onlyPeer', 'onlyOurs', 'mode', 'content'],
    reason: 'the EFI system partition is filled when the disk is assembled, with Debian’s signed shim and GRUB',
  },
  {
    where: /^etc\/dib-manifests\/dib(_arguments|_environment|-manifest-)/,
    kinds: ['content', 'onlyPeer', 'onlyOurs'],
    reason: 'names the command line and the image',
  },
  {
    where:
      /^etc\/(shadow|passwd|group|gshadow|subuid|subgid)-$|^etc\/\.pwd\.lock$|\/(status|diversions|statoverride|config\.dat|templates\.dat)-old$|dpkg\/(lock|lock-frontend|triggers\/Lock)$|passwords\.dat\.lock$/,
    kinds: ['onlyPeer'],
    reason: 'backups and locks of tools differ from build to build and are left out',
  },
  {
    where: /^etc\/shadow$/,
    kinds: ['content'],
    alike: (peer, ours) => accounts(peer) === accounts(ours),
    reason: 'days of password changes follow SOURCE_DATE_EPOCH, and a password has another salt in each build',
  },
  {
    where: /^boot\/grub\/grub\.cfg$/,
    kinds: ['content'],
    alike: (peer, ours) => withoutIds(peer).join('\n') === withoutIds(ours).join('\n'),
    reason: 'the file system’s UUID, with the menu ids and search hints that follow from it',
  },
  {
    where: /^etc\/(machine-id)$|^var\/lib\/dbus\/machine-id$/,
    kinds: ['content', 'onlyPeer', 'onlyOurs'],
    reason: 'every node makes its own',
  },
  {
    where: /^etc\/iscsi\/initiatorname\.iscsi$|^etc\/nvme\/host(nqn|id)$/,
    kinds: ['content', 'onlyPeer'],
    reason: 'must be unique: made at the first start',
  },
  {
    where: /^etc\/ssh\/ssh_host_.*_key/,
    kinds: ['onlyPeer', 'content'],
    reason: 'host keys are not shared between nodes',
  },
  {
    where:
      /^etc\/ssl\/(private\/ssl-cert-snakeoil\.key|certs\/ssl-cert-snakeoil\.pem)$|^etc\/ssl\/certs\/[0-9a-f]{8}\.0$/,
    kinds: ['onlyPeer', 'content', 'onlyOurs'],
    reason: 'a key that was made at random for one machine',
  },
  { where: /^etc\/fstab$/, kinds: ['content', 'onlyPeer', 'onlyOurs'], reason: 'written with the disk' },
  {
    where: /^etc\/apt\/sources\.list\.d\/\.list$/,
    kinds: ['onlyPeer'],
    reason: 'a blank line at the end of DIB_APT_SOURCES_CONF becomes a file without a name',
  },
  {
    where: /^var\/cache\/apt\/archives\/partial$/,
    kinds: ['mode', 'owner'],
    reason: 'apt gives it to its own user when it downloads; here it is as apt’s package has it',
  },
  {
    where: /^var\/cache\/(apt\/archives\/lock|apt\/(src)?pkgcache\.bin|ldconfig\/aux-cache|man\/.*|debconf\/.*)$/,
    kinds: ['onlyPeer', 'content'],
    reason: 'locks and caches that their programs make again',
  },
  {
    where: /^var\/lib\/apt\/lists\/partial$/,
    kinds: ['onlyOurs'],
    reason: 'apt’s package has it; debootstrap’s element removes it with the lists, and apt makes it again',
  },
  {
    where: /^var\/log\//,
    kinds: ['onlyPeer', 'onlyOurs', 'content'],
    reason: 'logs of the build; both leave them empty, not the same ones',
  },
  { where: /^lost\+found$/, kinds: ['onlyPeer', 'onlyOurs'], reason: 'belongs to the file system' },
  {
    where: /^(opt|etc|srv)\/.*\/\.git\/(index|logs\/.*|FETCH_HEAD|config|packed-refs|hooks\/.*|objects\/.*)$/,
    kinds: ['content', 'onlyPeer', 'onlyOurs'],
    reason: 'git’s own records of a clone: times and the path of the cache',
  },
];
