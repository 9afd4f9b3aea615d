/** Front door of the image builder. It runs in the caller's process, needs no running undercloud, and registers nothing. */
export { type BuildOptions, type BuiltImage, buildImage, type ImageManifest, readManifest } from './build.ts';
export { IMAGE_TYPES, type ImageDefinition, type ImageType, loadDefinition, readDefinition } from './definition.ts';
export { BuildError, type BuildProgress, type OnProgress, type StageCost } from './progress.ts';
export {
  type BuiltRamdisk,
  buildRamdisk,
  type RamdiskManifest,
  type RamdiskOptions,
  readRamdiskManifest,
} from './ramdisk.ts';
