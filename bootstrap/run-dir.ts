/** Sockets and pid files lie under /run, whatever the state directory's path: a unix socket's path may have 107 bytes. */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

export const runDir = (stateDir: string): string =>
  join('/run/undercloud', createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 8));

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

export const embeddedDatabaseUrl = (stateDir: string): string =>
  `postgresql://undercloud@/undercloud?host=${runDir(stateDir)}`;
export const embeddedRedisUrl = (stateDir: string): string => `unix://${runPaths(stateDir).redisSocket}`;
