/** `undercloud serve`: every service put together in one process, behind the listeners it was handed. */
import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { Logger } from 'pino';
import { type Config, statePaths } from '../core/config.ts';
import { type Api, createApi, type Listener, type ListenOn, listen } from '../core/http/index.ts';
import { createIdentity } from '../identity/index.ts';
import type { Descriptors } from './descriptors.ts';
import { openHouse } from './house.ts';

export interface ServeOptions {
  config: Config;
  /** Without a descriptor for the API, `serve` opens the configured listener itself. */
  descriptors: Partial<Descriptors>;
  log: Logger;
}

export interface Running {
  readonly listeners: readonly Listener[];
  stop(): Promise<void>;
}

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

export async function serve({ config, descriptors, log }: ServeOptions): Promise<Running> {
  const house = await openHouse(config);
  const paths = statePaths(config.stateDir);
  const links = { ...(config.publicUrl && { publicUrl: config.publicUrl }) };
  const identity = createIdentity(house, { region: config.region, ...links });

  const api = createApi({
    onError(error, request) {
      if (error.status >= 500)
        log.error(
          {
            request: request.id,
            url: request.url,
            code: error.code,
            stack: (error.cause as Error)?.stack ?? error.stack,
          },
          error.message,
        );
    },
  });
  await describe(api);
  api.register(identity.routes, { prefix: '/identity' });

  const tls = { cert: readFileSync(paths.certificate, 'utf8'), key: readFileSync(paths.certificateKey, 'utf8') };
  const listeners = [
    await listen(api, descriptors.api === undefined ? parseListen(config.listen) : { fd: descriptors.api }, tls),
  ];
  await house.operations.run({ sole: house.sole });
  house.recorder.emit('service.started', { type: 'system', id: 'serve' }, { version, pid: process.pid });
  log.info({ listen: config.listen, migrated: house.migrated.length }, 'serving');
  return {
    listeners,
    async stop() {
      for (const listener of listeners) await listener.close();
      await api.close();
      await house.close();
    },
  };
}

function parseListen(listen: string): ListenOn {
  const at = listen.lastIndexOf(':');
  return { host: listen.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(listen.slice(at + 1)) };
}

/** OpenAPI from the routes' own schemas. */
async function describe(api: Api): Promise<void> {
  await api.register(swagger, { openapi: { info: { title: 'Undercloud', version } } });
  api.get('/openapi.json', { schema: { hide: true } }, async () => api.swagger());
}
