/**
 * What stands in for programs that look at devices while finalise.d runs: the tree is not on a device, and boot sectors are the assembly's work. The element's own script runs
 * unchanged, and with it grub-mkconfig, so that /etc/default/grub and grub.cfg are the distribution's.
 */

/** Copies GRUB's modules where grub-install does; the boot sectors themselves are written with the image. */
export const GRUB_INSTALL = `#!/bin/bash
# Stands in for grub-install while an image is built without a device.
set -eu
target=
for word in "$@"; do
  case $word in
    --version | -V) echo "grub-install (GRUB) 2.06"; exit 0 ;;
    --target=*) target=\${word#--target=} ;;
  esac
done
if [ -z "$target" ]; then
  if [ -d /usr/lib/grub/i386-pc ]; then target=i386-pc
  elif [ -d /usr/lib/grub/x86_64-efi ]; then target=x86_64-efi
  elif [ -d /usr/lib/grub/arm64-efi ]; then target=arm64-efi
  fi
fi
from=/usr/lib/grub/$target to=/boot/grub
[ -d "$from" ] || { echo "grub-install: error: $from does not exist. Please specify --target or --directory." >&2; exit 1; }
[ ! -d /boot/grub2 ] || to=/boot/grub2
mkdir -p "$to/$target" "$to/fonts" "$to/locale"
cp "$from"/*.mod "$from"/*.lst "$to/$target/"
rm -f "$to/$target/fdt.lst"
for file in modinfo.sh efiemu32.o efiemu64.o; do [ ! -e "$from/$file" ] || install -m 644 "$from/$file" "$to/$target/"; done
for file in /usr/share/locale/*/LC_MESSAGES/grub.mo; do
  [ ! -e "$file" ] || { language=\${file#/usr/share/locale/}; cp "$file" "$to/locale/\${language%%/*}.mo"; }
done
[ ! -e "$from/boot.img" ] || cp "$from/boot.img" "$to/$target/"
[ ! -e /usr/share/grub/unicode.pf2 ] || cp /usr/share/grub/unicode.pf2 "$to/fonts/"
[ -e "$to/grubenv" ] || ! type grub-editenv >/dev/null 2>&1 || grub-editenv "$to/grubenv" create
echo "Installing for $target platform."
echo "Installation finished. No error reported."
`;

/** Answers for the file system that the image is going to have. */
export const GRUB_PROBE = `#!/bin/sh
# Stands in for grub-probe while an image is built without a device.
target=fs
for word in "$@"; do
  case $previous in -t | --target) target=$word ;; esac
  case $word in --target=*) target=\${word#--target=} ;; --version | -V) echo "grub-probe (GRUB) 2.06"; exit 0 ;; esac
  previous=$word
done
case $target in
  device | disk) echo "\${UC_ROOT_DEVICE:-/dev/undercloud-image}" ;;
  fs) echo ext2 ;;
  fs_uuid) echo "$UC_ROOT_UUID" ;;
  fs_label) echo "$DIB_ROOT_LABEL" ;;
  partmap) echo "$UC_PARTITION_TABLE" ;;
  drive | compatibility_hint) echo "(hd0,$UC_ROOT_PARTITION)" | { read -r hint; [ "$target" = drive ] && echo "$hint" || echo "hd0,$UC_ROOT_PARTITION"; } ;;
  bios_hints | efi_hints | baremetal_hints | ieee1275_hints | arc_hints) echo "hd0,$UC_ROOT_PARTITION" ;;
  hints_string) echo "--hint-bios=hd0,$UC_ROOT_PARTITION --hint-efi=hd0,$UC_ROOT_PARTITION --hint-baremetal=ahci0,$UC_ROOT_PARTITION" ;;
  *) ;;
esac
`;

/** Before the first package: kernels and their helpers would each make an initramfs (diskimage-builder makes it twice, 40 s of CPU), and find no device to ask about. */
export const DEFER = `
set -eu
command -v dpkg-divert >/dev/null || exit 0
divert() {
  dpkg-divert --quiet --local --rename --divert "$1.undercloud" --add "$1"
  printf '%s\\n' "$2" >"$1"; chmod 755 "$1"
}
divert /usr/sbin/update-initramfs '#!/bin/sh
echo "update-initramfs: left to the end of the image build"'
`;

export const PROBE = `
set -eu
command -v dpkg-divert >/dev/null || exit 0
dpkg-divert --quiet --local --rename --divert /usr/sbin/grub-probe.undercloud --add /usr/sbin/grub-probe
cp /run/undercloud-build/boot/grub-probe /usr/sbin/grub-probe; chmod 755 /usr/sbin/grub-probe
`;

export const UNPROBE = `
set -eu
command -v dpkg-divert >/dev/null || exit 0
rm -f /usr/sbin/grub-probe
dpkg-divert --quiet --local --rename --remove /usr/sbin/grub-probe
rm -f /var/lib/dpkg/diversions-old
`;

/**
 * Debian's own way of saying "make one at the first start": open-iscsi's name of a machine must be unique. Before the initramfs is made too, which takes a copy of it.
 */
export const forgetInitiator = (root: string): string =>
  `! grep -qs '^InitiatorName=iqn.1993-08.org.debian:01:' "${root}/etc/iscsi/initiatorname.iscsi" || echo GenerateName=yes >"${root}/etc/iscsi/initiatorname.iscsi"`;

/**
 * One initramfs for each kernel, after everything that could change it. MODULES=most looks at every driver (15 s); a list of what disks hang on boots the same machines.
 * The settings are for this one run: the image keeps its distribution's, so that a kernel update on a node makes what it always made. MODULES=dep fails in a chroot.
 */
export const INITRAMFS = `
set -eu
command -v dpkg-divert >/dev/null || exit 0
rm -f /usr/sbin/update-initramfs
dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs
rm -f /var/lib/dpkg/diversions-old
[ "\${DIB_INITRAMFS:-auto}" != none ] || exit 0
[ -x /usr/sbin/update-initramfs ] || exit 0
${forgetInitiator('')}
conf=/etc/initramfs-tools/conf.d/zz-undercloud-build hook=/etc/initramfs-tools/hooks/zz-undercloud-build
mkdir -p /etc/initramfs-tools/conf.d /etc/initramfs-tools/hooks
if command -v zstd >/dev/null; then printf 'COMPRESS=zstd\\nCOMPRESSLEVEL=1\\n' >"$conf"; else : >"$conf"; fi
printf 'RESUME=none\\n' >>"$conf"
if [ "\${DIB_INITRAMFS_MODULES:-list}" = list ]; then
  echo MODULES=list >>"$conf"
  # Not /etc/initramfs-tools/modules: what stands there is loaded at every boot, and here udev shall choose.
  printf '#!/bin/sh\\n[ "$1" != prereqs ] || exit 0\\n. /usr/share/initramfs-tools/hook-functions\\nmanual_add_modules %s\\n' "$UC_INITRAMFS_LIST" >"$hook"
  chmod 755 "$hook"
else echo "MODULES=$DIB_INITRAMFS_MODULES" >>"$conf"; fi
for kernel in /boot/vmlinuz-*; do
  [ -e "$kernel" ] || continue
  version=\${kernel#/boot/vmlinuz-}
  [ -e "/boot/initrd.img-$version" ] && [ -z "\${DIB_INITRAMFS_ANEW:-}" ] && continue
  [ -e "/lib/modules/$version/modules.dep" ] || depmod "$version"
  update-initramfs -c -k "$version"
done
rm -f "$conf" "$hook"
`;

/** Storage controllers, buses and file systems of servers and virtual machines; what they depend on comes along, what a kernel has not is left out. */
export const INITRAMFS_MODULES = [
  'virtio_pci virtio_blk virtio_scsi virtio_net virtio_rng',
  'ahci ata_piix ata_generic pata_acpi sata_nv sata_sil sata_via sata_mv',
  'nvme nvme_fabrics sd_mod sr_mod cdrom',
  'megaraid_sas mpt3sas mptsas mptspi hpsa smartpqi aacraid arcmsr 3w-9xxx 3w-sas isci mvsas pm80xx qla2xxx lpfc bnx2fc fnic ipr',
  'hv_vmbus hv_storvsc hv_netvsc vmw_pvscsi xen-blkfront xen-netfront',
  'xhci_pci ehci_pci ohci_pci uhci_hcd usb_storage uas usbhid hid_generic atkbd i8042',
  'sdhci_pci sdhci_acpi mmc_block',
  'ext4 crc32c_generic crc32c_intel xfs btrfs vfat nls_cp437 nls_ascii isofs overlay loop',
  'dm_mod raid0 raid1 raid10 raid456 md_mod',
].join(' ');
