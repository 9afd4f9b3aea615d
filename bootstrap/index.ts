/**
 * Front door of bootstrap: a bare machine becomes an undercloud, in steps that may each be run again. The steps join the
 * image builder, the lab and half the services, so they are loaded by who bootstraps, not by who asks for the status.
 */
export { BundleError, type BundleIndex, type BundlePart, bundleParts, fingerprint } from './bundle/format.ts';
export type { OpenBundle, PartSource } from './bundle/index.ts';
export { programSource, unpackByHand } from './bundle/program.ts';
export { cloudName, cloudsYaml } from './clouds.ts';
export { command } from './command.ts';
export { debianStoreOf, gatherDebian, hasDebianStore } from './debian-store.ts';
export { ensurePackages, missingPackages, type PackageGroup, packageGroups } from './packages.ts';
export { checkout } from './program-place.ts';
export { ensureStarted, type Standing, standing, startServices, stopServices } from './services.ts';
export type { BootstrapOptions, Step, Summary } from './steps.ts';

export const loadBundle = () => import('./bundle/index.ts');
export const loadSteps = () => import('./steps.ts');
export const loadDoctor = () => import('./doctor.ts');
export const loadSupervisor = () => import('./supervisor.ts');
