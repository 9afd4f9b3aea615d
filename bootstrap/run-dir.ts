/** Sockets and pid files lie under /run, whatever the state directory's path: a unix socket's path may have 107 bytes. */
import { createHash } from 'node:crypto';
import { rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = '/run/undercloud';

export const runDir = (stateDir: string): string =>
  join(root, createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 8));

export const runPaths = (stateDir: string) => {
  const dir = runDir(stateDir);
  return {
    dir,
    redisSocket: join(dir, 'redis.sock'),
    supervisorPid: join(dir, 'supervisor.pid'),
    servePid: join(dir, 'serve.pid'),
    status: join(dir, 'status.json'),
  };
};

/** Takes away what a stopped undercloud leaves empty under /run; what is in use or somebody else's is not empty. */
export function leaveRunDir(stateDir: string): void {
  removeEmpty(runDir(stateDir));
  removeEmpty(root);
}

export function removeEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EBUSY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

export const embeddedDatabaseUrl = (stateDir: string): string =>
  `postgresql://undercloud@/undercloud?host=${runDir(stateDir)}`;
export const embeddedRedisUrl = (stateDir: string): string => `unix://${runPaths(stateDir).redisSocket}`;
