import { existsSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { askOwner } from './control.ts';
import { labLayout, runRoot } from './layout.ts';
import { withLabLock } from './lock.ts';
import { removeNetwork, residents } from './network.ts';
import { end, gone, type ProcessRecord, readRecord, strays } from './processes.ts';
import { isSystemError, reason } from './thrown.ts';

export interface LabDownOptions {
  stateDir: string;
  /** Keep the console logs of the nodes. Default false: nothing stays. */
  keepConsoleLogs?: boolean;
  onProgress?: (line: string) => void;
}

/** The names under which the lab's own processes show: Node names its main thread. */
const ownComms = ['qemu-system-x86', 'ipmi_sim', 'node', 'MainThread', 'nsenter'];

/**
 * Removes the lab: machines, BMCs, their owner, the namespace with its links, sockets, disks and descriptions. Safe when there is none, when
 * half of one is there, and to repeat. Processes that somebody else runs inside the namespace (an undercloud's `serve`) are left alone and
 * returned, and the namespace and its bridge stay for them: then run it again when they have ended.
 */
export async function labDown(options: LabDownOptions): Promise<{ leftRunning: ProcessRecord[] }> {
  const { stateDir, keepConsoleLogs = false, onProgress = () => {} } = options;
  const lab = labLayout(stateDir);
  return withLabLock(lab, onProgress, async () => {
    const owner = readRecord(lab.ownerRecord);
    try {
      if (await askOwner(lab.control, 'stop', 60_000)) {
        if (owner) await gone(owner, 5_000);
        onProgress('machines powered off, BMCs and their owner ended');
      }
    } catch (thrown) {
      onProgress(`the owner of the machines did not stop by itself: ${reason(thrown)}`);
    }
    // The owner first: it would start ipmi_sim again.
    await end(owner, 2_000);
    if (existsSync(lab.run)) {
      const records = readdirSync(lab.run).filter((name) => name.endsWith('.json'));
      await Promise.all(records.map((name) => end(readRecord(join(lab.run, name)), 1_000)));
    }
    // Once more until none is found: an owner caught at its start may have started something while it was looked for.
    for (let found = strays(lab.run, ownComms); found.length > 0; found = strays(lab.run, ownComms)) {
      await Promise.all(found.map((record) => end(record, 1_000)));
    }

    const leftRunning = residents(lab);
    for (const { pid, comm } of leftRunning) {
      onProgress(
        `process ${pid} (${comm}) lives in the lab's namespace, so the bridge stays; end it and run 'undercloud lab down' again`,
      );
    }
    removeNetwork(lab, leftRunning.length > 0);
    rmSync(lab.run, { recursive: true, force: true });
    removeIfEmpty(runRoot);
    if (keepConsoleLogs) keepLogs(lab.directory);
    else rmSync(lab.directory, { recursive: true, force: true });
    onProgress(`lab ${lab.netns} removed`);
    return { leftRunning };
  });
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (thrown) {
    // Another lab's, or never made.
    if (!isSystemError(thrown, 'ENOTEMPTY', 'ENOENT', 'EEXIST')) throw thrown;
  }
}

/** Removes everything below the directory but files named console.log, and the directories that are empty then. */
function keepLogs(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) {
      keepLogs(path);
      removeIfEmpty(path);
    } else if (name !== 'console.log') {
      rmSync(path, { force: true });
    }
  }
}
