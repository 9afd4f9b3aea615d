/** Front door of bootstrap: a bare machine becomes an undercloud, in steps that may each be run again. */
export { cloudName, cloudsYaml } from './clouds.ts';
export { command } from './command.ts';
export { type Diagnosis, type DoctorOptions, diagnose } from './doctor.ts';
export { ensurePackages, missingPackages, type PackageGroup, packageGroups } from './packages.ts';
export { ensureStarted, type Standing, standing, startServices, stopServices } from './services.ts';
export { type BootstrapOptions, bootstrapSteps, type Step, type Summary } from './steps.ts';
export { supervise } from './supervisor.ts';
