/**
 * An agent that sends `Prefer: wait=SECONDS` (RFC 7240 §4.3) with the ETag of the document that it has is answered when
 * the document is another, or with 304 when the time is up. Who sends neither is answered at once, as ever.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Desk } from '../desk.ts';

/** Seconds; below the idle time-outs of proxies. */
const longest = 25;
/** What another process of this undercloud changed rings no bell here. */
const lookAgainMs = 5000;

export interface Read {
  /** Physical id of the server whose document it is; null: nothing to wait for. */
  readonly server: string | null;
  readonly text: string;
}

const tagOf = (text: string): string => `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`;

const waitOf = (request: FastifyRequest): number => {
  const wish = /(?:^|[,;\s])wait=(\d{1,4})\b/.exec(String(request.headers.prefer ?? ''));
  return wish ? Math.min(Number(wish[1]), longest) : 0;
};

/** @returns the document's text, or null after it has answered 304 itself */
export async function newerDocument(
  desk: Desk,
  request: FastifyRequest,
  reply: FastifyReply,
  read: () => Promise<Read>,
): Promise<string | null> {
  const wait = waitOf(request);
  let found = await read();
  const known = request.headers['if-none-match'];
  if (wait === 0) return found.text;
  const finish = () => {
    reply.header('etag', tagOf(found.text)).header('preference-applied', `wait=${wait}`);
  };
  if (found.server === null || known !== tagOf(found.text)) {
    finish();
    return found.text;
  }
  const ear = desk.bell.listen(found.server);
  request.raw.socket.once('close', ear.leave);
  try {
    // Monotonic: the answer is due after so long whatever the clock is set to.
    const until = performance.now() + wait * 1000;
    for (;;) {
      // Once more after the ear is there: what changed in between rang for nobody.
      found = await read();
      const left = until - performance.now();
      if (tagOf(found.text) !== known || left <= 0 || desk.bell.closed || request.raw.socket.destroyed) break;
      await ear.next(Math.min(left, lookAgainMs));
    }
  } finally {
    request.raw.socket.off('close', ear.leave);
    ear.leave();
  }
  finish();
  if (tagOf(found.text) !== known) return found.text;
  await reply.status(304).send();
  return null;
}
