/** Differences between diskimage-builder's trees and ours that are meant, each with its reason. What no row covers fails the comparison. */
export interface Explanation {
  where: RegExp;
  /** Which kinds of difference it covers. */
  kinds: readonly (keyof import('./compare-trees.ts').TreeDifferences)[];
  reason: string;
}

export const EXPLAINED: readonly Explanation[] = [
  {
    where: /^dev(\/|$)/,
    kinds: ['onlyPeer', 'onlyOurs', 'mode', 'kind'],
    reason:
      'diskimage-builder shares the host’s /dev with the chroot and copies what lies there; the image gets a devtmpfs at boot',
  },
  {
    where: /^(proc|sys|run)(\/|$)/,
    kinds: ['onlyPeer', 'onlyOurs', 'mode', 'content', 'kind'],
    reason: 'mounted over at boot; here they are file systems of the build’s own',
  },
  {
    where: /__pycache__\/.*\.pyc$/,
    kinds: ['content', 'onlyPeer', 'onlyOurs'],
    reason:
      'with SOURCE_DATE_EPOCH Python writes bytecode that is checked by the source’s hash, the same in every build',
  },
  { where: /^boot\/initrd/, kinds: ['content'], reason: 'made once, from a list of drivers, after all packages' },
  {
    where: /^boot\/grub\/(grub\.cfg|i386-pc\/core\.img|x86_64-efi\/(core|grub)\.efi|grubenv)$/,
    kinds: ['content', 'onlyPeer'],
    reason: 'the file system’s UUID; GRUB’s core is written into the disk and not kept beside it',
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
  { where: /^etc\/shadow$/, kinds: ['content'], reason: 'days of password changes follow SOURCE_DATE_EPOCH' },
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
    where:
      /^var\/(log|cache\/(apt|ldconfig|man|debconf|fontconfig)|lib\/apt\/(lists|extended_states)|lib\/systemd\/(catalog|random-seed)|tmp)(\/|$)|^tmp(\/|$)/,
    kinds: ['onlyPeer', 'onlyOurs', 'content', 'mode', 'owner'],
    reason: 'caches and logs',
  },
  { where: /^lost\+found$/, kinds: ['onlyPeer', 'onlyOurs'], reason: 'belongs to the file system' },
  { where: /^usr\/share\/pkg-map\//, kinds: ['content'], reason: 'copied from the elements' },
  {
    where: /^(opt|etc|srv)\/.*\/\.git\/(index|logs\/.*|FETCH_HEAD|config|packed-refs|hooks\/.*|objects\/.*)$/,
    kinds: ['content', 'onlyPeer', 'onlyOurs'],
    reason: 'git’s own records of a clone: times and the path of the cache',
  },
];
