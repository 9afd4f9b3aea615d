/** Starting, stopping and asking after the services: systemd where it runs, our own supervisor elsewhere. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readConfig, statePaths } from '../services/core/config.ts';
import { fault } from '../services/core/errors/index.ts';
import { waitForApi } from './api-ready.ts';
import { command } from './command.ts';
import { forgetRecord, gone, livingPid } from './process.ts';
import { runPaths } from './run-dir.ts';
import { unitText } from './systemd.ts';

const launcher = join(import.meta.dirname, 'undercloud');
/** The supervisor gives each of its three children 20 s. */
const stopPatienceMs = 65_000;
/** How long the API may take to its first answer after a start, migrations on a slow disk included. */
const startSeconds = 60;
/** The supervisor is a Node process that has to load; until then it has no record. */
const graceMs = 10_000;

export const systemdRuns = (): boolean => existsSync('/run/systemd/system');

/** The first undercloud of a machine has the plain name; one on another state directory gets its path's hash. */
export function unitName(stateDir: string): string {
  const dir = resolve(stateDir);
  if (dir === '/var/lib/undercloud') return 'undercloud.service';
  return `undercloud-${createHash('sha256').update(dir).digest('hex').slice(0, 8)}.service`;
}

export interface Standing {
  running: boolean;
  supervisor: number | null;
  serve: number | null;
  children: { name: string; pid: number | null; restarts: number; log: string }[];
}

export function standing(stateDir: string): Standing {
  const run = runPaths(stateDir);
  const supervisor = livingPid(run.supervisorPid);
  let children: Standing['children'] = [];
  try {
    if (supervisor !== null) children = JSON.parse(readFileSync(run.status, 'utf8')).children;
  } catch {
    // It has only just started: no status yet.
  }
  return { running: supervisor !== null, supervisor, serve: livingPid(run.servePid), children };
}

export async function startServices(stateDir: string): Promise<void> {
  if (standing(stateDir).running) return;
  if (systemdRuns()) {
    const unit = unitName(stateDir);
    writeFileSync(`/etc/systemd/system/${unit}`, unitText({ launcher, stateDir }));
    await command('systemctl', ['daemon-reload']);
    await command('systemctl', ['enable', '--now', unit]);
    return;
  }
  const logs = statePaths(stateDir).logs;
  mkdirSync(logs, { recursive: true });
  const log = openSync(join(logs, 'supervisor.log'), 'a', 0o640);
  const child = spawn(launcher, ['supervise', '--state', stateDir], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  child.unref();
}

/** Starts what is stopped and waits for the API. False when it was running already. */
export async function ensureStarted(stateDir: string): Promise<boolean> {
  if (standing(stateDir).running) return false;
  await startServices(stateDir);
  const begun = Date.now();
  const paths = statePaths(stateDir);
  const url = `https://${readConfig(stateDir)
    .listen.replace(/^0\.0\.0\.0:/, '127.0.0.1:')
    .replace(/^\[::\]:/, '[::1]:')}`;
  await waitForApi({
    url,
    ca: readFileSync(paths.caCertificate, 'utf8'),
    seconds: startSeconds,
    log: join(paths.logs, 'serve.log'),
    alive: () => Date.now() - begun < graceMs || standing(stateDir).running,
  });
  return true;
}

export async function stopServices(stateDir: string): Promise<boolean> {
  const run = runPaths(stateDir);
  const unit = unitName(stateDir);
  if (systemdRuns() && existsSync(`/etc/systemd/system/${unit}`)) {
    await command('systemctl', ['disable', '--now', unit]);
    rmSync(`/etc/systemd/system/${unit}`);
    await command('systemctl', ['daemon-reload']);
    return true;
  }
  const pid = livingPid(run.supervisorPid);
  if (pid === null) return false;
  process.kill(pid, 'SIGTERM');
  if (!(await gone(run.supervisorPid, stopPatienceMs))) {
    throw fault('service-not-up', {
      service: `the end of supervisor ${pid}`,
      seconds: stopPatienceMs / 1000,
      log: join(statePaths(stateDir).logs, 'supervisor.log'),
    });
  }
  forgetRecord(run.supervisorPid);
  return true;
}
