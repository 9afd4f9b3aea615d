import { forgetInitiator } from './boot-stubs.ts';
import type { Room } from './chroot.ts';
import { cpuSeconds } from './command.ts';
import type { Layering } from './layering.ts';
import { runPhase } from './phases.ts';
import type { StageClock } from './progress.ts';

/** What diskimage-builder's create_base does to a fresh root: its resolver set aside (elements may put another into .ORIG), nothing starts daemons (Debian Policy 9.3.3.1). */
export const DRESS = `
set -e
R=$1
mkdir -p "$R/usr/sbin" "$R/etc" "$R/tmp/in_target.d"; chmod 1777 "$R/tmp"
if [ ! -e "$R/usr/sbin/policy-rc.d" ]; then printf '#!/bin/sh\\n# undercloud image build\\nexit 101\\n' >"$R/usr/sbin/policy-rc.d"; chmod 755 "$R/usr/sbin/policy-rc.d"; fi
if [ -e "$R/etc/resolv.conf" ] || [ -L "$R/etc/resolv.conf" ]; then mv "$R/etc/resolv.conf" "$R/etc/resolv.conf.ORIG"; fi
cat /etc/resolv.conf >"$R/etc/resolv.conf" 2>/dev/null || : >"$R/etc/resolv.conf"
`;

/** Puts the resolver back as diskimage-builder does: what an element left in .ORIG wins, a link that a package made stays. */
export const RESTORE = `
R=$1
if [ -L "$R/etc/resolv.conf" ]; then rm -f "$R/etc/resolv.conf.ORIG"
else
  rm -f "$R/etc/resolv.conf"
  if [ -e "$R/etc/resolv.conf.ORIG" ] || [ -L "$R/etc/resolv.conf.ORIG" ]; then mv "$R/etc/resolv.conf.ORIG" "$R/etc/resolv.conf"; fi
fi
if grep -qs 'undercloud image build' "$R/usr/sbin/policy-rc.d"; then rm -f "$R/usr/sbin/policy-rc.d"; fi
`;

// Every node written from the image would share these. An empty machine-id is filled at each first boot without being taken for a factory reset (machine-id(5)).
// What follows differs from build to build and is made again by whoever needs it.
export const GENERALISE = `
R=$1
rm -f "$R"/etc/ssh/ssh_host_*_key* "$R/var/lib/dbus/machine-id" "$R/var/lib/systemd/random-seed" "$R"/root/*.log "$R/root/.bash_history"
[ ! -e "$R/etc/machine-id" ] && [ ! -d "$R/run/systemd" ] || : >"$R/etc/machine-id"
# resolved answers through a file of its own (its package could not make the link: hooks had a resolver of ours there).
if [ -e "$R/lib/systemd/systemd-resolved" ]; then ln -sfn ../run/systemd/resolve/stub-resolv.conf "$R/etc/resolv.conf"; fi
${forgetInitiator('$R')}
# debconf keeps what scripts told it, names of temporary files among it.
[ ! -e "$R/var/cache/debconf/config.dat" ] || sed -i -E 's#(= /tmp/[A-Za-z0-9._-]+\\.)[A-Za-z0-9]{6}$#\\1XXXXXX#' "$R/var/cache/debconf/config.dat"
rm -f "$R/etc/nvme/hostnqn" "$R/etc/nvme/hostid"
find "$R/var/log" -xdev -type f -exec truncate -s 0 {} +
find "$R/tmp" "$R/var/tmp" -xdev -mindepth 1 -depth ! -path "$R/tmp/in_target.d*" -exec rm -rf {} +
rm -f "$R"/var/cache/apt/*.bin "$R"/var/cache/ldconfig/aux-cache "$R"/var/cache/debconf/*-old "$R"/var/lib/dpkg/*-old "$R"/var/lib/dpkg/lock* \\
  "$R"/var/lib/dpkg/triggers/Lock "$R"/var/cache/debconf/passwords.dat.lock "$R"/etc/.pwd.lock "$R"/etc/*- "$R"/var/cache/man/*.db "$R"/var/lib/apt/lists/lock
find "$R/var/lib/apt/lists" "$R/var/cache/apt/archives" -xdev -mindepth 1 -type f -delete 2>/dev/null
true
`;

/** Every installed package of a Debian tree, sorted by name; a tree without dpkg has none that could be named. */
async function installedPackages(room: Room): Promise<{ name: string; version: string; architecture: string }[]> {
  const format = ['db:Status-Abbrev', 'Package', 'Version', 'Architecture'].map((field) => `\${${field}}`).join('\\t');
  const argv = ['sh', '-c', `! command -v dpkg-query >/dev/null || dpkg-query -W -f '${format}\\n'`];
  const text = await room.runInside(argv, {
    capture: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  return text
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([state]) => state?.startsWith('ii'))
    .map(([, name = '', version = '', architecture = '']) => ({ name, version, architecture }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** cleanup.d and what every image needs after it. `loop`: the tree goes on to a mounted device, where cleanup.d comes after finalise.d. */
export async function finishTree(
  layering: Layering,
  options: { loop: boolean; clock: StageClock },
): Promise<{ name: string; version: string; architecture: string }[]> {
  let packages: { name: string; version: string; architecture: string }[] = [];
  const began = cpuSeconds();
  await options.clock.run('cleanup.d', () =>
    layering.volatile(
      'cleanup.d',
      async (context) => {
        const { mount } = layering.options;
        const environment = { ...context.environment, TARGET_ROOT: mount };
        if (!options.loop) await runPhase({ ...context, environment }, 'cleanup.d');
        packages = await installedPackages(context.room);
        if (!options.loop)
          for (const script of [RESTORE, GENERALISE])
            await context.room.runOutside(['bash', '-c', script, 'finish', mount]);
      },
      false,
    ),
  );
  layering.steps.at(-1)!.cpu = Math.round((cpuSeconds() - began) * 100) / 100;
  return packages;
}
