/** Bundles: written and read as streams. */
export { type BundleOrder, createBundle, type MadeBundle, type PartSource } from './create.ts';
export { type OpenBundle, openBundle } from './read.ts';
