/** Starting, stopping and asking after the services: systemd where it runs, our own supervisor elsewhere. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readConfig, statePaths } from '../services/core/config.ts';
import { fault } from '../services/core/errors/index.ts';
import { lastLine, waitForApi } from './api-ready.ts';
import { command } from './command.ts';
import { endOrphans, graceMs, orphans } from './family.ts';
import { fingerprint } from './fingerprint.ts';
import { forgetRecord, gone, livingPid } from './process.ts';
import { leaveRunDir, runPaths } from './run-dir.ts';
import { unitText } from './systemd.ts';

const launcher = join(import.meta.dirname, 'supervise');
const entry = join(import.meta.dirname, 'supervise.ts');
/** The supervisor gives each of its three children their grace, one after the other. */
const stopPatienceMs = 3 * graceMs + 5_000;
/** How long the API may take to its first answer after a start, migrations on a slow disk included. */
const startSeconds = 60;
/** systemd starts the supervisor for us; until that has loaded it has no record. */
const loadMs = 10_000;

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
  /** Services that run on although their supervisor was killed; the next start takes them in hand. */
  orphans: { name: string; pid: number }[];
}

interface Status {
  /** Of what the supervisor was started from. */
  basis?: string;
  children: Standing['children'];
}

function readStatus(stateDir: string): Status | null {
  try {
    return JSON.parse(readFileSync(runPaths(stateDir).status, 'utf8')) as Status;
  } catch {
    // It has only just started: no status yet.
    return null;
  }
}

export function standing(stateDir: string): Standing {
  const run = runPaths(stateDir);
  const supervisor = livingPid(run.supervisorPid);
  return {
    running: supervisor !== null,
    supervisor,
    serve: livingPid(run.servePid),
    children: supervisor === null ? [] : (readStatus(stateDir)?.children ?? []),
    orphans: supervisor === null ? orphans(stateDir) : [],
  };
}

/** Whether what runs was started from another configuration, certificate or release than what lies there now. */
export function isOutdated(stateDir: string): boolean {
  if (livingPid(runPaths(stateDir).supervisorPid) === null) return false;
  return readStatus(stateDir)?.basis !== fingerprint(stateDir);
}

/** Returns the supervisor's process where it is our child. */
export async function startServices(stateDir: string): Promise<ChildProcess | null> {
  if (livingPid(runPaths(stateDir).supervisorPid) !== null) return null;
  if (systemdRuns()) {
    const unit = unitName(stateDir);
    writeFileSync(`/etc/systemd/system/${unit}`, unitText({ launcher, stateDir }));
    await command('systemctl', ['daemon-reload']);
    await command('systemctl', ['enable', '--now', unit]);
    return null;
  }
  const logs = statePaths(stateDir).logs;
  mkdirSync(logs, { recursive: true });
  const log = openSync(join(logs, 'supervisor.log'), 'a', 0o640);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, '--state', stateDir], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  child.unref();
  return child;
}

/** Starts what is stopped and waits for the API. False when it was running already. */
export async function ensureStarted(stateDir: string): Promise<boolean> {
  const wasRunning = livingPid(runPaths(stateDir).supervisorPid) !== null;
  // First, or their API would be taken for that of the new one.
  if (!wasRunning) await endOrphans(stateDir);
  const supervisor = await startServices(stateDir);
  const begun = Date.now();
  const paths = statePaths(stateDir);
  const url = `https://${readConfig(stateDir)
    .listen.replace(/^0\.0\.0\.0:/, '127.0.0.1:')
    .replace(/^\[::\]:/, '[::1]:')}`;
  const isAlive = () =>
    supervisor
      ? supervisor.exitCode === null && supervisor.signalCode === null
      : Date.now() - begun < loadMs || livingPid(runPaths(stateDir).supervisorPid) !== null;
  await waitForApi({
    url,
    ca: readFileSync(paths.caCertificate, 'utf8'),
    seconds: startSeconds,
    log: () => join(paths.logs, isAlive() ? 'serve.log' : 'supervisor.log'),
    isAlive,
  });
  return !wasRunning;
}

/** True when there was anything to stop. */
export async function stopServices(stateDir: string): Promise<boolean> {
  const run = runPaths(stateDir);
  const unit = unitName(stateDir);
  if (systemdRuns() && existsSync(`/etc/systemd/system/${unit}`)) {
    await command('systemctl', ['disable', '--now', unit]);
    rmSync(`/etc/systemd/system/${unit}`);
    await command('systemctl', ['daemon-reload']);
    leaveRunDir(stateDir);
    return true;
  }
  const pid = livingPid(run.supervisorPid);
  if (pid === null) {
    const ended = await endOrphans(stateDir);
    leaveRunDir(stateDir);
    return ended > 0;
  }
  process.kill(pid, 'SIGTERM');
  if (!(await gone(run.supervisorPid, stopPatienceMs))) {
    const log = join(statePaths(stateDir).logs, 'supervisor.log');
    throw fault('service-not-stopped', { pid, seconds: stopPatienceMs / 1000, last: lastLine(log), log });
  }
  forgetRecord(run.supervisorPid);
  leaveRunDir(stateDir);
  return true;
}
