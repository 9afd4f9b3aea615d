/** Glance's import: bytes that were staged, or fetched from where the configuration allows, become the image's. */
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { fault } from '../../core/errors/index.ts';
import { defineOperation, done, minutes, type Operation, type Run } from '../../core/operations/index.ts';
import { keys } from '../blobs/index.ts';
import type { Chunked } from '../chunked.ts';
import type { Data } from '../data.ts';
import { type Ground, subject } from '../ground.ts';
import { hashing } from '../hashing.ts';
import type { Image } from '../model.ts';
import { byteMeter } from '../quota.ts';
import * as store from '../store/images.ts';
import { chunkSteps } from './steps.ts';

/** `uri` is null for bytes that were staged. */
export type ImportParams = { readonly uri: string | null };

/** Mirrors answer by a few; more is a loop. */
const mostRedirects = 5;

export function importOperation(ground: Ground, data: Data, chunked: Chunked): Operation<ImportParams> {
  const { db, recorder } = ground.house;
  const imageOf = async (run: Run<ImportParams>): Promise<Image> => {
    const image = await store.image(db, run.subject.id);
    if (!image) throw fault('image-not-found', { id: run.subject.id });
    return image;
  };
  return defineOperation<ImportParams>({
    kind: 'image.import',
    definition: 1,
    title: 'import the image',
    steps: [
      {
        name: 'fetch',
        title: 'fetch it',
        deadlineMs: minutes(360),
        when: (run) => run.params.uri !== null,
        retry: { times: 2, delayMs: 5_000, when: (error) => error.code === 'image-fetch' },
        async do(run) {
          const image = await imageOf(run);
          const { bytes, total } = await fetched(ground, image, run.params.uri ?? '', run.signal);
          const withinQuota = await byteMeter(ground, image.owner);
          let size = 0;
          const counted = hashing(bytes, [], undefined, (piece) => {
            size += piece.length;
            withinQuota(size);
            run.progress(size, Math.max(size, total), 'bytes');
          });
          await ground.blobs.put(keys.staged(image.id), counted.stream);
          return done({ size });
        },
        undo: async (run) => ground.blobs.delete(keys.staged(run.subject.id)),
      },
      {
        name: 'take',
        title: 'inspect and keep its bytes',
        deadlineMs: minutes(360),
        async do(run) {
          const image = await imageOf(run);
          if (image.status === 'active') return done();
          await data.receive(image, await ground.blobs.get(keys.staged(image.id)), 'importing');
          return done();
        },
        undo: { none: 'a failed import leaves the image queued, see `failed`' },
      },
      {
        name: 'unstage',
        title: 'drop the staged bytes',
        deadlineMs: minutes(60),
        async do(run) {
          await ground.blobs.delete(keys.staged(run.subject.id));
          return done();
        },
        undo: { none: 'they were copied' },
      },
      ...chunkSteps<ImportParams>(ground, chunked),
    ],
    async failed(run, error, tx) {
      const image = await store.image(tx, run.subject.id);
      const about = { reason: error.sentence, remedy: error.remedy };
      const taken = image?.status === 'active';
      if (image && !taken) await store.updateImage(tx, image.id, { status: 'queued' });
      // What this does not reach, the collector does: it knows no staged bytes of an image that is not being imported.
      tx.afterCommit(() => void ground.blobs.delete(keys.staged(run.subject.id)).catch(() => {}));
      const kind = taken ? 'image.not-converted' : 'image.import-failed';
      await recorder.append(tx, kind, subject(run.subject.id), about);
    },
  });
}

/** @throws Fault `image-import-refused` when the configuration does not name the host */
export function checkSource(ground: Ground, id: string, uri: string): URL {
  const refuse = (reason: string) => fault('image-import-refused', { id, method: 'web-download', reason });
  const url = URL.canParse(uri) ? new URL(uri) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw refuse(`'${uri.slice(0, 200)}' is no http or https URL.`);
  if (url.username || url.password) throw refuse('a URL with a password in it would be kept and shown.');
  const hosts = ground.limits?.importHosts ?? [];
  if (!hosts.includes(url.host) && !hosts.includes(url.hostname))
    throw refuse(`images may not come from ${url.host}${hosts.length > 0 ? `, but from ${hosts.join(', ')}` : ''}.`);
  return url;
}

async function fetched(
  ground: Ground,
  { id }: Image,
  uri: string,
  signal: AbortSignal,
): Promise<{ bytes: Readable; total: number }> {
  let url = checkSource(ground, id, uri);
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const answer = await fetch(url, { redirect: 'manual', signal }).catch((error: Error & { cause?: Error }) => {
      signal.throwIfAborted();
      throw fault('image-fetch', { id, url: url.href, reason: `${error.cause?.message ?? error.message}.` }, error);
    });
    const location = answer.headers.get('location');
    if (answer.status >= 300 && answer.status < 400 && location) {
      await answer.body?.cancel();
      url = checkSource(ground, id, new URL(location, url).href);
      continue;
    }
    if (!answer.ok || !answer.body) {
      await answer.body?.cancel();
      throw fault('image-fetch', { id, url: url.href, reason: `it answers ${answer.status} ${answer.statusText}.` });
    }
    const total = Number(answer.headers.get('content-length') ?? 0);
    return { bytes: Readable.fromWeb(answer.body as ReadableStream), total };
  }
  throw fault('image-fetch', { id, url: url.href, reason: `it redirects more than ${mostRedirects} times.` });
}
