/** Waits until the API answers, over TLS with its own CA. */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { fault } from '../services/core/errors/index.ts';

export interface ReadyOptions {
  url: string;
  ca: string;
  seconds: number;
  /** Whose last line says why it does not come up. */
  log: () => string;
  /** False when it cannot come up any more. */
  isAlive: () => boolean;
}

const pauseMs = 20;

export async function waitForApi({ url, ca, seconds, log, isAlive }: ReadyOptions): Promise<void> {
  const begun = Date.now();
  const until = begun + seconds * 1000;
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
    if (Date.now() > until || !isAlive()) {
      const waited = Math.round((Date.now() - begun) / 1000);
      throw fault('service-not-up', {
        service: `The API at ${url}`,
        seconds: waited,
        log: log(),
        last: lastLine(log()),
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** What the log says last, shortened: usually the reason. */
export function lastLine(file: string): string {
  try {
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const told = lines.findLast((line) => line.includes('"msg"')) ?? lines.at(-1) ?? '';
    return (/"msg":"((?:[^"\\]|\\.)*)"/.exec(told)?.[1] ?? told).slice(0, 400);
  } catch {
    return 'nothing yet';
  }
}
