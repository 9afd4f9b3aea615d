/** Front door of the image builder. It runs in the caller's process, needs no running undercloud, and registers nothing. */

export type { BootResult, BootTestOptions } from './boot-result.ts';
export { testImage } from './boot-test.ts';
export { type BuiltImage, buildImage, planImage } from './build.ts';
export {
  IMAGE_TYPES,
  type ImageDefinition,
  type ImageType,
  loadDefinition,
  loadDefinitions,
  readDefinition,
  SHIPPED_ELEMENTS,
  SHIPPED_IMAGES,
} from './definition.ts';
export { applyDibArguments, DIB_OPTIONS, definitionOf } from './dib-options.ts';
export { diffImages, type ImageDiff, type WireCost, wireCost } from './diff.ts';
export type { StepRecord } from './layering.ts';
export { type ImageManifest, readManifest } from './manifest.ts';
export type { BuildOptions } from './prepare.ts';
export { BuildError, type BuildProgress, type OnProgress, type StageCost } from './progress.ts';
export {
  type BuiltRamdisk,
  buildRamdisk,
  type RamdiskManifest,
  type RamdiskOptions,
  ramdiskKey,
  readRamdiskManifest,
} from './ramdisk.ts';
export { checkSignature, keyId, type Signature } from './signing.ts';
export { hasUpstream } from './upstream.ts';
export { type Verification, verifyImage } from './verify.ts';
