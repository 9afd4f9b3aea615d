/** Waits until the API answers, over TLS with its own CA. */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { fault } from '../services/core/errors/index.ts';

export interface ReadyOptions {
  url: string;
  ca: string;
  seconds: number;
  log: string;
  /** False when it cannot come up any more. */
  alive: () => boolean;
}

const pauseMs = 50;

export async function waitForApi({ url, ca, seconds, log, alive }: ReadyOptions): Promise<void> {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const answered = await new Promise<boolean>((resolve) => {
      const request = https.get(`${url}/identity/v3`, { ca, agent: false, timeout: 2000 }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.once('error', () => resolve(false));
      request.once('timeout', () => request.destroy(new Error('time-out')));
    });
    if (answered) return;
    if (Date.now() > until || !alive())
      throw fault('service-not-up', { service: `The API at ${url}`, seconds, log, last: lastLine(log) });
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** What the log says last, shortened: usually the reason. */
function lastLine(file: string): string {
  try {
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const told = lines.findLast((line) => line.includes('"msg"')) ?? lines.at(-1) ?? '';
    return (/"msg":"((?:[^"\\]|\\.)*)"/.exec(told)?.[1] ?? told).slice(0, 400);
  } catch {
    return 'nothing yet';
  }
}
