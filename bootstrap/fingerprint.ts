/**
 * What a running undercloud was started from. Bootstrap compares it with what lies in the state directory now: a run that was
 * killed between writing a new configuration and the restart is known by it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { statePaths } from '../services/core/config.ts';

const lockFile = join(import.meta.dirname, '..', 'package-lock.json');

export function fingerprint(stateDir: string): string {
  const paths = statePaths(stateDir);
  const hash = createHash('sha256');
  for (const file of [paths.config, paths.caCertificate, paths.certificate, paths.secretKey, lockFile]) {
    if (existsSync(file)) hash.update(readFileSync(file));
    hash.update('\0');
  }
  return hash.digest('hex');
}
