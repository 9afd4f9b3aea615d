export DIB_BOOT_PROFILE=${DIB_BOOT_PROFILE:-server}
export DIB_BOOT_KERNEL=${DIB_BOOT_KERNEL:-generic}
export DIB_GRUB_TIMEOUT=${DIB_GRUB_TIMEOUT:-0}
# The last console is the one that init writes to: the serial port, which every server's BMC can show.
export DIB_BOOTLOADER_DEFAULT_CMDLINE=${DIB_BOOTLOADER_DEFAULT_CMDLINE:-console=tty0 console=ttyS0,115200n8}
# The lab's initramfs is made in finalise.d, by hand.
if [ "$DIB_BOOT_PROFILE" = lab ]; then export DIB_INITRAMFS=none; fi
