/** Debian's os-collect-config, os-refresh-config and os-apply-config, unmodified, in a root directory with our element's files. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';

export const heatConfig = resolve(import.meta.dirname, '../../elements/heat-config/static');

/** What cloud-init's part handler leaves in /var/lib/heat-cfntools. */
function firstDocument(userData: string): string {
  const found = /filename="cfn-init-data"\r?\n\r?\n([\s\S]*?)\n--===/.exec(userData);
  if (!found?.[1]) throw new Error('The user data has no cfn-init-data part.');
  return found[1];
}

/** A machine whose tools run until the test is over. `env` goes to the hooks. */
export function stockMachine(userData: string, env: Readonly<Record<string, string>> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'uc-stock-'));
  cpSync(heatConfig, dir, { recursive: true });
  const first = join(dir, 'var/lib/heat-cfntools');
  mkdirSync(first, { recursive: true });
  writeFileSync(join(first, 'cfn-init-data'), firstDocument(userData));
  mkdirSync(join(dir, 'run'));
  const child = spawn(
    '/usr/bin/os-collect-config',
    [
      ...['--config-file', join(dir, 'etc/os-collect-config.conf')],
      ...['--heat_local-path', join(first, 'cfn-init-data'), '--local-path', join(dir, 'var/lib/local-data')],
      ...['--cachedir', join(dir, 'var/lib/os-collect-config'), '--backup-cachedir', join(dir, 'run/collected')],
      ...['--command', `/usr/bin/os-refresh-config --lockfile ${join(dir, 'run/lock')}`],
      ...['--min-polling-interval', '0.2'],
    ],
    {
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        HEAT_CONFIG_ROOT: dir,
        OS_REFRESH_CONFIG_BASE_DIR: join(dir, 'usr/libexec/os-refresh-config'),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own group: what it started ends with it.
      detached: true,
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      text += data.toString();
    });
  const closed = once(child, 'close');
  onTestFinished(async () => {
    if (child.exitCode === null && child.pid) process.kill(-child.pid, 'SIGKILL');
    await closed;
    rmSync(dir, { recursive: true });
  });
  return { dir, text: () => text };
}
