/**
 * The parent of everything, run as root by bootstrap or by systemd (`bootstrap/supervise`). It opens the sockets that need
 * privileges (so that `serve` runs without), keeps PostgreSQL, Redis and `serve` running, and holds the listening sockets
 * open across a restart of `serve`, so that no connection is refused meanwhile. Killed, it leaves its children to the next
 * supervisor, which ends them before it begins.
 */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, readConfig } from '../services/core/config.ts';
import { fault } from '../services/core/errors/index.ts';
import { hostListener, leadAway, openProvisioningSockets } from '../services/core/sockets.ts';
import { bootPort, metadataAddress, metadataPort } from '../services/serve/descriptors.ts';
import { type Child, keepRunning } from './children.ts';
import { childSpecs, endOrphans, graceMs, type OpenSockets } from './family.ts';
import { fingerprint } from './fingerprint.ts';
import { claimRecord, forgetRecord } from './process.ts';
import { leavePlace, programPlace } from './program-place.ts';
import { leaveRunDir, runPaths } from './run-dir.ts';
import { findUser, type Ids, serviceUser } from './user.ts';

export async function supervise(stateDir: string, { isForeground = false } = {}): Promise<void> {
  process.umask(0o022);
  const run = runPaths(stateDir);
  const config = readConfig(stateDir);
  const basis = fingerprint(stateDir);
  const ids = findUser();
  if (!ids)
    throw fault('bootstrap-step', { step: 'find the service user', reason: `there is no user ${serviceUser}.` });
  const say = (line: string) => process.stdout.write(`${new Date().toISOString()} ${line}\n`);

  makeRunDir(run.dir, ids);
  const running = claimRecord(run.supervisorPid);
  if (running !== null) throw fault('already-running', { state: stateDir, pid: running });
  let tellStop = () => {};
  const told = new Promise<void>((resolve) => {
    tellStop = resolve;
  });
  process.once('SIGTERM', tellStop);
  process.once('SIGINT', tellStop);
  const children: Child[] = [];
  try {
    await endOrphans(stateDir, say);
    const program = await programPlace(ids);
    const sockets = { ...(await openSockets(config)), program, isForeground };
    const report = () => writeStatus(run.status, basis, children);
    for (const spec of childSpecs(stateDir, config, ids, sockets)) children.push(keepRunning(spec, say, report));
    for (const child of children) child.start();
    say(`supervising ${children.map((child) => child.spec.name).join(', ')} of ${stateDir}`);
    await told;
    say('stopping');
    // serve first: it lets go of its work while the database is still there.
    for (const child of [...children].reverse()) await child.stop(graceMs);
    await leavePlace(program);
    // A lab's namespace goes with its rules.
    if (config.provisioning && !config.lab)
      for (const { interface: device } of [config.provisioning, ...(config.provisioning.further ?? [])])
        leadAway(device, metadataAddress);
  } finally {
    forgetRecord(run.status);
    forgetRecord(run.servePid);
    forgetRecord(run.supervisorPid);
    // Elsewhere `undercloud stop` does it, which knows that nobody starts anew meanwhile.
    if (isForeground) leaveRunDir(stateDir);
  }
  say('stopped');
}

function makeRunDir(dir: string, ids: Ids): void {
  mkdirSync(join(dir, '..'), { recursive: true, mode: 0o755 });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chownSync(dir, ids.uid, ids.gid);
}

function writeStatus(file: string, basis: string, children: readonly Child[]): void {
  const status = children.map(({ spec, pid, restarts }) => ({
    name: spec.name,
    pid: pid ?? null,
    restarts,
    log: spec.log,
  }));
  writeFileSync(file, JSON.stringify({ at: new Date().toISOString(), basis, children: status }));
}

/** The API's listener is outside, on the host; everything else on the provisioning interface, in the lab inside its namespace. */
async function openSockets(config: Config): Promise<Pick<OpenSockets, 'fds' | 'namespace'>> {
  const at = config.listen.lastIndexOf(':');
  const host = config.listen.slice(0, at).replace(/^\[|\]$/g, '');
  const apiPort = Number(config.listen.slice(at + 1));
  const api = hostListener(host === 'localhost' ? '127.0.0.1' : host, apiPort);
  // Loaded only where it is wanted: the lab is much code, and an API-only undercloud should be up within a second.
  const namespace = config.lab ? (await import('../services/lab/index.ts')).labNetns(config.stateDir).file : null;
  if (!config.provisioning) return { fds: { api }, namespace };
  const { address, domain, dhcp, further = [] } = config.provisioning;
  // Machines of every link reach us at the one address: what listens there is opened once for each interface that they come in by.
  const openOn = (device: string) =>
    openProvisioningSockets({
      ...(namespace && { netns: namespace }),
      interface: device,
      address,
      apiPort,
      bootPort,
      metadata: { address: metadataAddress, port: metadataPort },
      dns: domain !== undefined,
      proxy: dhcp === 'proxy',
    });
  const opened = openOn(config.provisioning.interface);
  return { fds: { api, ...opened, further: further.map((link) => openOn(link.interface)) }, namespace };
}
