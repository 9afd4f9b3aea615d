/** Conversion and import of a real qcow2, killed and failed at every step. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll } from 'vitest';
import type { World } from '../../../test/setup/world.ts';
import { operationConformance } from '../../core/operations/conformance.ts';
import type { Operation } from '../../core/operations/index.ts';
import { diskBlobs } from '../blobs/disk.ts';
import { createChunked } from '../chunked.ts';
import { createData } from '../data.ts';
import { createGround, type Ground, subject } from '../ground.ts';
import { createRecords } from '../records.ts';
import { updateImage } from '../store/images.ts';
import { convertOperation } from './convert.ts';
import { importOperation } from './import.ts';

const dir = mkdtempSync(join(tmpdir(), 'uc-convert-'));
afterAll(() => rmSync(dir, { recursive: true }));

const id = '11111111-2222-4333-8444-555555555555';
const context = { requestId: 'req-1', userId: 'u', projectId: 'p', domainId: null, roles: ['member'] };

/** A qcow2 with something to convert: three chunks, one of them zero. */
const qcow2 = (() => {
  const raw = Buffer.concat([randomBytes(1 << 20), Buffer.alloc(1 << 20), randomBytes(1 << 20)]);
  writeFileSync(join(dir, 'raw'), raw);
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(dir, 'raw'), join(dir, 'qcow2')]);
  return readFileSync(join(dir, 'qcow2'));
})();

/** Reads through to whatever `present` gives at the time of use, for as many levels as parts are taken out beforehand. */
function late<T extends object>(present: () => T, levels: number): T {
  return new Proxy({} as T, {
    get(_, name) {
      const of = () => present()[name as keyof T];
      if (levels > 0) return late(of as () => object, levels - 1);
      const value = of();
      return typeof value === 'function' ? value.bind(present()) : value;
    },
  });
}

/** The operation is built once and lives through several lives of the process: its ground is the present life's. */
function living(): { ground: Ground; enter(present: Ground): void } {
  let now: Ground | null = null;
  const here = (): Ground => {
    if (!now) throw new Error('nobody lives yet');
    return now;
  };
  return {
    ground: {
      ...({} as Ground),
      house: late(() => here().house, 1),
      blobs: late(() => here().blobs, 0),
      uploading: late(() => here().uploading, 0),
      get signingKey() {
        return here().signingKey;
      },
      get workDir() {
        return here().workDir;
      },
    },
    enter(present) {
      now = present;
    },
  };
}

function groundOf(world: World, outside: Map<string, unknown>): Ground {
  const at = (outside.get('dir') as string | undefined) ?? mkdtempSync(join(dir, 'run-'));
  outside.set('dir', at);
  return createGround(world, {
    blobs: diskBlobs(join(at, 'blobs')),
    workDir: join(at, 'work'),
    signingKey: generateKeyPairSync('ed25519').privateKey,
    linkKey: Buffer.from('key'),
    deliveryUrl: '',
    authenticate: () => Promise.reject(new Error('nobody asks')),
  });
}

async function observed(ground: Ground): Promise<unknown> {
  const image = await createRecords(ground).find(context, id);
  const blobs: string[] = [];
  for (const prefix of ['objects/', 'streams/', 'staged/', 'indexes/'])
    for await (const { key, size } of ground.blobs.list(prefix)) blobs.push(`${key} ${size}`);
  const { status, disk_index_sha256: disk, virtual_size: size } = image;
  return { status, disk, size, blobs: blobs.sort(), work: existsSync(join(ground.workDir, id)) };
}

const kinds = {
  convert: (ground: Ground) => convertOperation(ground, createChunked(ground)),
  import: (ground: Ground) =>
    importOperation(ground, createData(ground, { start: async () => {} }), createChunked(ground)),
} as const;

for (const kind of ['convert', 'import'] as const) {
  const life = living();
  const operation = kinds[kind](life.ground) as Operation<{ uri: null }>;
  operationConformance<{ uri: null }>({
    operation,
    async stage(world, played, outside, number) {
      const ground = groundOf(world, outside);
      life.enter(ground);
      world.operations.register(played);
      if (number === 1) {
        const data = createData(ground, { start: async () => {} });
        const fields = { id, name: 'one', disk_format: 'qcow2', container_format: 'bare' };
        await createRecords(ground).create(context, fields);
        if (kind === 'convert') await data.upload(context, id, Readable.from([qcow2]));
        else {
          await data.stage(context, id, Readable.from([qcow2]));
          await updateImage(world.db, id, { status: 'importing' });
        }
      }
      return {
        start: () =>
          world.db.transaction((tx) =>
            world.operations.start(tx, played, { subject: subject(id), params: { uri: null }, context }),
          ),
        observe: () => observed(ground),
      };
    },
  });
}
