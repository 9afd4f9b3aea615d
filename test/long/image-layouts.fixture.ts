/**
 * Runs in the emulated machine of image-layouts.test.ts, whose kernel has device-mapper and md: builds an image of each layout and looks at the disk with the tools of its file
 * systems. Says one line for each: UC-RESULT and a JSON value in base64, so that no line of the kernel's can get between.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildImage, definitionOf } from '../../services/builder/index.ts';

const [work = '', name = '', table = ''] = process.argv.slice(2);
const sh = (script: string): string =>
  execFileSync('sh', ['-ec', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

function writeScript(path: string, text: string): void {
  const file = join(work, 'elements', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}

// An operating system of one program, and a hook that says what it sees of the device it runs on.
writeScript('tiny/element-provides', 'operating-system\n');
writeScript(
  'tiny/root.d/10-tiny',
  `#!/bin/bash
set -eu
mkdir -p "$TARGET_ROOT"/{bin,etc,usr/bin,var/log,tmp}
cp "$(type -p busybox)" "$TARGET_ROOT/bin/busybox"
for applet in sh env mkdir cat sleep ls mount chmod df; do ln -s busybox "$TARGET_ROOT/bin/$applet"; done
# Hooks are started by bash and env.
for program in bash env; do
  cp --parents -L "$(type -p $program)" $(ldd "$(type -p $program)" | grep -o '/[^ ]*' | grep '\\.so') "$TARGET_ROOT/" 2>/dev/null || true
done
`,
);
writeScript(
  'tiny/finalise.d/50-where',
  '#!/bin/sh\n(df -P / /var; echo "device $IMAGE_BLOCK_DEVICE"; ls /dev) >/etc/where\n',
);

/** How the disk is looked at: a script that gets the loop device as $L and a directory as $M, and leaves the image mounted there. */
const LOOK: Record<string, { up: string; check: string; down: string }> = {
  lvm: {
    up: `vgchange --config "$C" -ay vg >/dev/null; mount -o ro /dev/vg/lv_root $M; mount -o ro /dev/vg/lv_var $M/var`,
    check: `lvs --config "$C" --noheadings --units m -o vg_name,lv_name,lv_size; e2fsck -fn /dev/vg/lv_root 2>&1; xfs_repair -n /dev/vg/lv_var 2>&1`,
    down: `vgchange --config "$C" -an vg >/dev/null`,
  },
  raid: {
    up: `mdadm --assemble --run /dev/md/look \${L}p1 \${L}p2 2>/dev/null; mount -o ro /dev/md/look $M`,
    check: `cat /proc/mdstat; mdadm --detail /dev/md/look | grep -E 'Level|State :|Devices'; xfs_repair -n /dev/md/look 2>&1`,
    down: `mdadm --stop /dev/md/look 2>/dev/null`,
  },
  xfs: { up: `mount -o ro \${L}p1 $M`, check: `xfs_repair -n \${L}p1 2>&1`, down: 'true' },
};

try {
  const definition = {
    ...definitionOf(['tiny']),
    name,
    base: false,
    types: ['raw' as const],
    imageGb: Number(/size: (\S+)GiB # disk/.exec(table)?.[1] ?? 1),
    // No package is fetched, and no mirror is asked: a build names one all the same.
    environment: {
      DIB_BLOCK_DEVICE_CONFIG: table,
      DIB_DISTRIBUTION_MIRROR: 'http://mirror.invalid/debian',
      DIB_OFFLINE: '1',
    },
    output: join(work, name),
  };
  const built = await buildImage({
    definition,
    out: work,
    cache: join(work, 'cache'),
    directory: work,
    elementsPath: [join(work, 'elements')],
  });
  const left = sh(
    'losetup --list --noheadings; ls /dev/mapper | grep -v control || true; grep -c active /proc/mdstat || true',
  );
  const { up, check, down } = LOOK[name]!;
  const begin = `L=$(losetup -f --show -P ${work}/${name}.raw); M=/run/look; C='activation { udev_sync=0 udev_rules=0 }'; mkdir -p $M; partx -u $L || true`;
  const seen = sh(`${begin}
${up}
cat $M/etc/where; echo ---; cat $M/etc/fstab; echo ---; ls -l $M/bin/busybox; echo ---
umount -R $M
${check}
${down}
sfdisk -l $L | grep '^/dev'
losetup -d $L`);
  const parts = seen.split('\n---\n');
  const result = {
    where: parts[0],
    fstab: parts[1],
    program: parts[2],
    checks: parts[3],
    left,
    types: built.manifest.types,
  };
  say(result);
} catch (error) {
  const { message, stack, tail, stderr } = error as Error & { tail?: string[]; stderr?: string };
  say({ failed: message, stack, tail, stderr });
}

function say(value: object): void {
  console.log(`UC-RESULT ${Buffer.from(JSON.stringify(value)).toString('base64')}`);
}
