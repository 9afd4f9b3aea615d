import { connect, createServer } from 'node:net';
import type { LabLayout } from './layout.ts';
import { isSystemError } from './thrown.ts';

/**
 * Only one command at a time may raise or remove a lab. The lock is a unix socket in Linux's abstract name space (unix(7)): it leaves no
 * file, the kernel drops it with its holder however that one dies, and waiting for it is waiting for a connection to close.
 */
export async function withLabLock<T>(
  lab: LabLayout,
  onProgress: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const name = `\0undercloud-lab-${lab.id}`;
  const held = createServer();
  while (!(await taken(held, name))) {
    onProgress(`waiting for another lab command on ${lab.directory}`);
    await closed(name);
  }
  const waiting = new Set<{ destroy(): void }>();
  held.on('connection', (socket) => {
    waiting.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => waiting.delete(socket));
  });
  try {
    return await work();
  } finally {
    const released = new Promise((resolve) => held.close(resolve));
    for (const socket of waiting) socket.destroy();
    await released;
  }
}

function taken(server: ReturnType<typeof createServer>, name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const refused = (thrown: Error) => {
      if (isSystemError(thrown, 'EADDRINUSE')) resolve(false);
      else reject(thrown);
    };
    server.once('error', refused);
    server.listen(name, () => {
      server.removeListener('error', refused);
      resolve(true);
    });
  });
}

function closed(name: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(name);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => resolve());
  });
}
