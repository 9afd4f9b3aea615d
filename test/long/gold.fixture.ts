/** Two images for nodes of the lab, of which the second differs from the first by one layer of 50 MB. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes `gold.yaml`, which defines `gold-a` and `gold-b`, and their `elements/`. Packages make them as large as a server's image; the last
 * script is the layer that changes: 50 MB, of which half packs well.
 */
export function writeGold(scratch: string): void {
  const at = (...names: string[]) => join(scratch, ...names);
  const entry = (word: string) => `- imagename: gold-${word}
  elements: [debian-base, boot, networkd, quick-boot, ssh, configuration-agent, lab-services, layer-${word}]
  packages: [curl, git, less, openssh-client, perl, procps, python3, vim]
  environment:
    DIB_BOOT_PROFILE: lab
    DIB_BOOT_KERNEL: cloud
    DIB_BOOTLOADER_DEFAULT_CMDLINE: console=tty0 console=ttyS0,115200n8 net.ifnames=0 quiet audit=0 apparmor=0 selinux=0 fsck.mode=skip mitigations=off
  types: [chunks]
  spare-mib: 96
`;
  writeFileSync(at('gold.yaml'), `${entry('a')}${entry('b')}`);
  for (const word of ['a', 'b']) {
    const script = at('elements', `layer-${word}`, 'post-install.d', '90-layer');
    mkdirSync(join(script, '..'), { recursive: true });
    const noise = `openssl enc -aes-128-ctr -nosalt -K $(printf %s ${word} | md5sum | cut -c1-32) -iv 0 </dev/zero 2>/dev/null | head -c 25000000`;
    // Its metadata comes with it: nobody has asked for a server.
    const seed = '/var/lib/cloud/seed/config_drive/openstack/latest';
    const instance = `mkdir -p ${seed}\necho '{"uuid": "gold-${word}", "name": "gold-${word}", "hostname": "gold"}' >${seed}/meta_data.json\n`;
    writeFileSync(
      script,
      `#!/bin/bash\nset -eu\necho ${word} >/etc/gold\n${instance}(${noise} || true) >/usr/share/gold-noise\nyes "gold image ${word}" | head -c 25000000 >/usr/share/gold-text || true\n`,
    );
    chmodSync(script, 0o755);
  }
}
