/** The private Redis: wakes between processes, on a unix socket. It may be emptied at any moment, so it keeps no file. */
export const redisProgram = { path: '/usr/bin/redis-check-rdb', argv0: 'redis-server' } as const;

export const redisArguments = (dir: string, socket: string): string[] => [
  '--port',
  '0',
  '--unixsocket',
  socket,
  '--unixsocketperm',
  '700',
  '--dir',
  dir,
  '--save',
  '',
  '--appendonly',
  'no',
  '--daemonize',
  'no',
];
