/** The image store's front door: records as Glance v2 shows them, blobs on disk or in S3, and what a deploy needs of an image. */
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Routes } from '../core/http/index.ts';
import type { ChunkIndex } from '../ipa/index.ts';
import { type Chunked, createChunked } from './chunked.ts';
import { type Collected, collect } from './collect.ts';
import type { Conversion } from './conversion.ts';
import { createData, type Data } from './data.ts';
import { deliveryRoutes } from './delivery.ts';
import { type DeployInfo, deployInfo } from './deploy-info.ts';
import { createGround, type Ground, type ImageDeps, owned, subject } from './ground.ts';
import { createMembers, type Members } from './members.ts';
import type { Image } from './model.ts';
import { convertOperation } from './operations/convert.ts';
import { checkSource, importOperation } from './operations/import.ts';
import { createRecords, type Records } from './records.ts';
import { imageRoutes } from './routes/index.ts';
import { updateImage } from './store/images.ts';
import { vouchForOlder } from './vouching.ts';

export { diskBlobs } from './blobs/disk.ts';
export type { BlobRange, BlobStore } from './blobs/index.ts';
export { type S3Options, s3Blobs } from './blobs/s3.ts';
export type { DeployInfo } from './deploy-info.ts';
export type { ImageDeps, ImageLimits } from './ground.ts';
export type { Image, ImageManifest, Registration } from './model.ts';

/** How an import gets its bytes: those that were staged, or from a URL that the configuration allows. */
export type ImportMethod = { readonly name: 'glance-direct' } | { readonly name: 'web-download'; readonly uri: string };

export interface Images
  extends Records,
    Pick<Data, 'upload' | 'stage'>,
    Pick<Chunked, 'putObject' | 'hasObject' | 'register'> {
  readonly routes: Routes;
  /** For the plain listener of the provisioning network: signed links only. */
  readonly deliveryRoutes: Routes;
  readonly members: Members;
  /** Begins an import; the image is active when it has ended. @throws Fault `image-state-forbids`, `image-import-refused` */
  import(context: Context, id: string, method: ImportMethod): Promise<void>;
  /** The image's bytes in its disk format. @throws Fault `image-without-data`, `image-deactivated` */
  open(image: Image): Promise<{ index: ChunkIndex | null; size: number }>;
  deployInfo(imageId: string, options: { ttl: number }): Promise<DeployInfo>;
  /** Removes bytes that no image names. */
  collect(options: { dryRun: boolean; olderThanMs?: number }): Promise<Collected>;
  /** Collects once a day, and an hour after the start; signs what has no signature yet. */
  start(): void;
  stop(): void;
}

export interface ImageDesk extends Ground {
  readonly images: Images;
}

const hourMs = 3600 * 1000;

export function createImages(house: House, deps: ImageDeps): Images {
  const { db, operations, clock } = house;
  const ground = createGround(house, deps);
  const chunked = createChunked(ground);
  const convert = convertOperation(ground, chunked);
  const conversion: Conversion = {
    async start(tx, image) {
      await operations.start(tx, convert, { subject: subject(image.id), params: {}, context: ownerContext(image) });
    },
  };
  const data = createData(ground, conversion);
  const importing = importOperation(ground, data, chunked);
  operations.register(convert);
  operations.register(importing);
  let cancel = () => {};
  const schedule = (ms: number) => {
    cancel = clock.after(ms, () => {
      collect(ground, { dryRun: false })
        .catch(() => {})
        .finally(() => schedule(24 * hourMs));
    });
  };

  const images: Images = {
    ...createRecords(ground),
    putObject: chunked.putObject,
    hasObject: chunked.hasObject,
    register: chunked.register,
    upload: data.upload,
    stage: data.stage,
    members: createMembers(ground),
    routes: (api) => imageRoutes(desk)(api),
    deliveryRoutes: (api) => deliveryRoutes(desk)(api),
    async import(context, id, method) {
      const image = await owned(ground, context, id);
      const staged = method.name === 'glance-direct';
      const wanted = staged ? 'uploading' : 'queued';
      if (image.status !== wanted)
        throw fault('image-state-forbids', { id, status: image.status, action: `importing it by ${method.name}` });
      if (!image.disk_format || !image.container_format)
        throw fault('image-invalid', { reason: 'disk_format and container_format have to be set before its import.' });
      const uri = staged ? null : checkSource(ground, id, method.uri).href;
      await db.transaction(async (tx) => {
        await updateImage(tx, image.id, { status: 'importing' });
        await operations.start(tx, importing, { subject: subject(image.id), params: { uri }, context });
      });
    },
    async open(image) {
      if (image.status === 'deactivated') throw fault('image-deactivated', { id: image.id });
      if (image.status !== 'active') throw fault('image-without-data', { id: image.id });
      const index = image.chunk_index_sha256 ? await ground.index(image.chunk_index_sha256) : null;
      return { index, size: image.size ?? 0 };
    },
    deployInfo: (imageId, { ttl }) => deployInfo(ground, imageId, ttl),
    collect: (options) => collect(ground, options),
    start() {
      schedule(hourMs);
      // An upgrade's images, beside everything else; until its turn has come a deploy says what its image lacks (image-unsigned).
      vouchForOlder(ground).catch(() => {});
    },
    stop: () => cancel(),
  };
  const desk: ImageDesk = { ...ground, images };
  return images;
}

const ownerContext = (image: Image): Context => ({
  requestId: 'req-image-convert',
  userId: null,
  projectId: image.owner,
  domainId: null,
  roles: ['member'],
});
