import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { statePaths } from '../core/config.ts';
import { createApi } from '../core/http/index.ts';
import { describeApi } from './openapi.ts';
import { createServices, mountServices } from './services.ts';

const golden = join(import.meta.dirname, '../../docs/reference/openapi.json');

interface Described {
  paths: Record<string, Record<string, { requestBody?: unknown; tags?: string[] }>>;
}

test('docs/reference/openapi.json is what the routes of every service say (UPDATE_GOLDEN=1 draws it anew)', async () => {
  const world = await createWorld();
  const stateDir = mkdtempSync(join(tmpdir(), 'uc-openapi-'));
  const paths = statePaths(stateDir);
  mkdirSync(paths.keys);
  writeFileSync(paths.caCertificate, '');
  writeFileSync(paths.signingKey, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(paths.secretKey, 'c2VjcmV0');
  const api = createApi();
  try {
    const config = {
      stateDir,
      listen: '127.0.0.1:6385',
      databaseUrl: '',
      redisUrl: '',
      lab: false,
      provisioning: null,
      region: 'RegionOne',
    };
    const services = await createServices(world, config, {});
    await describeApi(api);
    mountServices(api, services);
    const answer = await api.inject({ url: '/openapi.json' });
    expect(answer.statusCode).toBe(200);
    const described = answer.json<Described>();
    const text = `${JSON.stringify(described, null, 1)}\n`;
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
    expect(text).toBe(readFileSync(golden, 'utf8'));

    const operations = Object.entries(described.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
    );
    expect(operations.filter(({ tags }) => tags === undefined)).toEqual([]);
    expect([...new Set(operations.flatMap(({ tags }) => tags ?? []))].sort()).toEqual(
      ['baremetal', 'cfn', 'compute', 'identity', 'image', 'network', 'object', 'orchestration'].sort(),
    );
    expect(described.paths['/identity/v3/auth/tokens']?.post?.requestBody).toBeDefined();
  } finally {
    await api.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});
