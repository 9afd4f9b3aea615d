/** `undercloud serve`: every service in one process, behind the listeners that it was handed. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { type Config, statePaths } from '../core/config.ts';
import { type Api, createApi, type Listener, type ListenOn, listen } from '../core/http/index.ts';
import type { Descriptors, LinkName } from './descriptors.ts';
import { openHouse } from './house.ts';
import { describeApi, version } from './openapi.ts';
import { createServices, mountServices } from './services.ts';

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

/** Chores that nobody waits for, in ms. */
const tokenSweepMs = 10 * 60_000;
const trimMs = 60 * 60_000;

export async function serve({ config, descriptors, log }: ServeOptions): Promise<Running> {
  const house = await openHouse(config);
  const services = await createServices(house, config, descriptors);
  const { baremetal, boot, compute, images, orchestration } = services;
  const paths = statePaths(config.stateDir);
  const tls = { cert: readFileSync(paths.certificate, 'utf8'), key: readFileSync(paths.certificateKey, 'utf8') };
  const apis: Api[] = [];
  const newApi = (): Api => {
    const api = createApi({
      onError(error, request) {
        if (error.status < 500) return;
        const stack = (error.cause as Error | undefined)?.stack ?? error.stack;
        log.error({ request: request.id, url: request.url, code: error.code, stack }, error.message);
      },
    });
    apis.push(api);
    return api;
  };

  const listeners: Listener[] = [];
  const open = async (api: Api, on: ListenOn, secure: boolean) => {
    listeners.push(await listen(api, on, secure ? tls : undefined));
  };
  /** On the descriptors that were handed over, one a link; without one that listener is not wanted, and its routes are not even made. */
  const openHanded = async (name: LinkName, secure: boolean, mount: (api: Api) => void) => {
    for (const link of [descriptors, ...(descriptors.further ?? [])]) {
      const fd = link[name];
      if (fd === undefined) continue;
      const api = newApi();
      mount(api);
      await open(api, { fd }, secure);
    }
  };

  const api = newApi();
  await describeApi(api);
  mountServices(api, services);

  // Operations are registered by now; what a former process left is taken up before anybody can ask for more.
  await house.operations.run({ sole: house.sole });
  await baremetal.start();
  await compute.start();
  await orchestration.start();
  images.start();
  // What firmware sees, in plain HTTP: images by signed links, and boot, which takes every other path.
  await openHanded('boot', false, (bootApi) => {
    bootApi.register(images.deliveryRoutes);
    if (boot) bootApi.register(boot.routes);
  });
  await openHanded('metadata', false, (metadataApi) => void metadataApi.register(compute.metadataRoutes));
  // What nodes see over TLS: the same APIs, and the agent's routes without a prefix.
  await openHanded('provisioningApi', true, (provisioningApi) => {
    mountServices(provisioningApi, services);
    provisioningApi.register(baremetal.agentRoutes);
  });
  await boot?.start();
  await open(api, descriptors.api === undefined ? parseListen(config.listen) : { fd: descriptors.api }, true);

  const chores = [
    setInterval(() => services.identity.dropExpiredTokens().catch(() => {}), tokenSweepMs),
    setInterval(() => house.recorder.trim().catch(() => {}), trimMs),
  ];
  house.recorder.emit('service.started', { type: 'system', id: 'serve' }, { version, pid: process.pid });
  log.info(
    { listen: config.listen, provisioning: config.provisioning?.interface ?? null, migrated: house.migrated.length },
    'serving',
  );
  return {
    listeners,
    async stop() {
      for (const chore of chores) clearInterval(chore);
      for (const listener of listeners) await listener.close();
      await boot?.stop();
      orchestration.stop();
      images.stop();
      compute.stop();
      await baremetal.stop();
      for (const one of apis) await one.close();
      await services.power.close();
      services.closeBlobs();
      await house.close();
    },
  };
}

function parseListen(listen: string): ListenOn {
  const at = listen.lastIndexOf(':');
  return { host: listen.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(listen.slice(at + 1)) };
}
