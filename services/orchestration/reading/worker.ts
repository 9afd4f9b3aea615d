/** A thread that reads templates. It holds nothing between two asks, so it may be killed at any time. */
import { parentPort } from 'node:worker_threads';
import { toFault } from '../../core/errors/index.ts';
import type { AskKind, Asks } from './ask.ts';
import { perform } from './perform.ts';

export interface Message {
  readonly id: number;
  readonly kind: AskKind;
  readonly ask: Asks[AskKind]['ask'];
}

export type Reply =
  | { readonly id: number; readonly answer: Asks[AskKind]['answer'] }
  | { readonly id: number; readonly failure: { code: string; details: Record<string, unknown>; sentence: string } };

parentPort?.on('message', ({ id, kind, ask }: Message) => {
  try {
    parentPort?.postMessage({ id, answer: perform(kind, ask) } satisfies Reply);
  } catch (error) {
    const { code, details, sentence } = toFault(error);
    parentPort?.postMessage({ id, failure: { code, details: { ...details }, sentence } } satisfies Reply);
  }
});
