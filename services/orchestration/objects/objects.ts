/**
 * Containers and objects of a project, Swift's: small things that stacks and nodes hand to each other. They lie in the
 * database, so their sizes are bounded; images have a store of their own.
 */
import { createHash } from 'node:crypto';
import type { Context } from '../../core/context.ts';
import { isAdmin, mayWrite } from '../../core/context.ts';
import type { Database, Tx } from '../../core/database/index.ts';
import { fault } from '../../core/errors/index.ts';
import * as store from '../store/objects.ts';

export const objectLimits = {
  objectBytes: 5 * 1024 * 1024,
  accountBytes: 256 * 1024 * 1024,
  accountObjects: 10_000,
  /** Swift's own. */
  nameBytes: 1024,
  containerNameBytes: 256,
  metadataBytes: 4096,
  listing: 10_000,
} as const;

export type Objects = ReturnType<typeof createObjects>;

const missing = (what: string) => fault('not-found', { what });
const refuse = (reason: string) => fault('bad-request', { reason });
const tooMuch = (what: string) => fault('object-quota', { what });

/** `AUTH_PROJECT`: one's own, or any for an administrator. */
export function projectOf(context: Context, account: string, writes: boolean): string {
  const project = account.replace(/^AUTH_/, '');
  if (!isAdmin(context) && project !== context.projectId)
    throw fault('forbidden', { action: `object:account ${account}`, roles: 'admin, or the project of that account' });
  if (writes && !mayWrite(context)) throw fault('forbidden', { action: 'object:write', roles: 'member or admin' });
  return project;
}

function checkHeaders(headers: store.Headers): store.Headers {
  if (JSON.stringify(headers).length > objectLimits.metadataBytes)
    throw refuse(`The metadata come to more than ${objectLimits.metadataBytes} bytes.`);
  return headers;
}

export function createObjects(db: Database) {
  async function find(project: string, name: string, where: Pick<Database | Tx, 'kysely'> = db) {
    const found = await store.container(where, project, name);
    if (!found) throw missing(`The container ${name}`);
    return found;
  }
  const inside = <T>(tx: Tx | undefined, work: (tx: Tx) => Promise<T>) => (tx ? work(tx) : db.transaction(work));

  return {
    find: (project: string, name: string) => find(project, name),
    containers: (project: string, wish: store.Listing) => store.containers(db, project, wish),
    async usage(project: string) {
      return db.transaction((tx) => store.usage(tx, project));
    },
    /** True: it was not there. Headers are added to those that it has. */
    async put(project: string, name: string, headers: store.Headers, tx?: Tx): Promise<boolean> {
      if (name === '' || name.includes('/') || Buffer.byteLength(name) > objectLimits.containerNameBytes)
        throw refuse(`“${name.slice(0, 300)}” is no name of a container: 1 to 256 bytes without a slash.`);
      checkHeaders(headers);
      return inside(tx, (inner) => store.putContainer(inner, project, name, headers));
    },
    /** `''` takes a header away. */
    async change(project: string, name: string, headers: store.Headers): Promise<void> {
      await db.transaction(async (tx) => {
        const found = await find(project, name, tx);
        await store.lockContainer(tx, found.id);
        const all = Object.entries({ ...found.headers, ...headers }).filter(([, value]) => value !== '');
        await store.setHeaders(tx, found.id, checkHeaders(Object.fromEntries(all)));
      });
    },
    /** @throws Fault `container-not-empty` unless it is to be emptied */
    async remove(project: string, name: string, { purge = false } = {}, tx?: Tx): Promise<void> {
      await inside(tx, async (inner) => {
        const { id } = await find(project, name, inner);
        await store.lockContainer(inner, id);
        if (purge) await store.emptyContainer(inner, id);
        const { count } = await find(project, name, inner);
        if (count > 0) throw fault('container-not-empty', { container: name, count });
        await store.deleteContainer(inner, id);
      });
    },
    async list(project: string, name: string, wish: store.Listing) {
      const found = await find(project, name);
      return { container: found, objects: await store.objects(db, found.id, wish) };
    },
    async object(project: string, name: string, object: string) {
      const { id } = await find(project, name);
      const found = await store.object(db, id, object);
      if (!found) throw missing(`The object ${name}/${object}`);
      return found;
    },
    async body(project: string, name: string, object: string): Promise<Buffer> {
      const { id } = await find(project, name);
      const body = await store.objectBody(db, id, object);
      if (!body) throw missing(`The object ${name}/${object}`);
      return body;
    },
    async putObject(
      project: string,
      name: string,
      given: { name: string; body: Buffer; contentType: string; etag?: string | undefined; headers: store.Headers },
    ): Promise<{ etag: string }> {
      const { body, contentType, headers } = given;
      if (given.name === '' || Buffer.byteLength(given.name) > objectLimits.nameBytes)
        throw refuse(`An object's name has 1 to ${objectLimits.nameBytes} bytes.`);
      if (body.length > objectLimits.objectBytes)
        throw tooMuch(`an object has at most ${objectLimits.objectBytes} bytes`);
      checkHeaders(headers);
      // Swift's ETag is the MD5 of the body; clients compare it.
      const etag = createHash('md5').update(body).digest('hex');
      if (given.etag !== undefined && given.etag.replaceAll('"', '').toLowerCase() !== etag)
        throw fault('object-etag', { object: given.name, etag, given: given.etag });
      await db.transaction(async (tx) => {
        const { count, bytes } = await store.usage(tx, project);
        const { id } = await find(project, name, tx);
        const before = await store.object(tx, id, given.name);
        if (!before && count >= objectLimits.accountObjects)
          throw tooMuch(`an account has at most ${objectLimits.accountObjects} objects`);
        if (bytes - (before?.bytes ?? 0) + body.length > objectLimits.accountBytes)
          throw tooMuch(`an account has at most ${objectLimits.accountBytes} bytes, and ${bytes} are taken`);
        const row = { name: given.name, content_type: contentType, etag, bytes: body.length, headers, body };
        await store.putObject(tx, id, row);
      });
      return { etag };
    },
    /** Swift's: what is not given again is gone. */
    async changeObject(project: string, name: string, object: string, headers: store.Headers): Promise<void> {
      await db.transaction(async (tx) => {
        const { id } = await find(project, name, tx);
        if (!(await store.object(tx, id, object))) throw missing(`The object ${name}/${object}`);
        await store.setObjectHeaders(tx, id, object, checkHeaders(headers));
      });
    },
    async removeObject(project: string, name: string, object: string): Promise<void> {
      await db.transaction(async (tx) => {
        const { id } = await find(project, name, tx);
        if (!(await store.deleteObject(tx, id, object))) throw missing(`The object ${name}/${object}`);
      });
    },
  };
}
