/**
 * Wakes between processes, over BullMQ: each process reads one queue, named after it, whose jobs are an operation's id
 * and nothing else. Losing one costs at most a sweep; two do no harm. Redis may be emptied at any moment.
 */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

export interface WakeQueue {
  tell(owner: string, operation: string): void;
  close(): Promise<void>;
}

export interface WakeQueueOptions {
  /** `redis://…` or `unix:///run/…/redis.sock`. */
  url: string;
  owner: string;
  onWake: (operation: string) => void;
}

/** Jobs are kept out of Redis as soon as they are read. */
const jobOptions = { removeOnComplete: true, removeOnFail: true };

export function createWakeQueue(options: WakeQueueOptions): WakeQueue {
  const connect = () => {
    const shared = { maxRetriesPerRequest: null };
    const redis = options.url.startsWith('unix://')
      ? new Redis({ path: options.url.slice('unix://'.length), ...shared })
      : new Redis(options.url, shared);
    // Redis being away is no error here: wakes are a courtesy, the sweep is the promise.
    redis.on('error', () => {});
    return redis;
  };
  const nameOf = (owner: string) => `wakes-${owner.replaceAll(':', '-')}`;
  const connections = [connect(), connect()] as const;
  const queues = new Map<string, Queue>();
  const worker = new Worker(nameOf(options.owner), async (job) => options.onWake(job.name), {
    connection: connections[0],
  });
  worker.on('error', () => {});
  return {
    tell(owner, operation) {
      let queue = queues.get(owner);
      if (!queue) {
        queue = new Queue(nameOf(owner), { connection: connections[1] });
        queue.on('error', () => {});
        queues.set(owner, queue);
      }
      queue
        .add(operation, {}, { ...jobOptions, jobId: `${operation}-${Math.floor(Date.now() / 100)}` })
        .catch(() => {});
    },
    async close() {
      await worker.close(true);
      for (const queue of queues.values()) await queue.close();
      for (const redis of connections) redis.disconnect();
    },
  };
}
