/** An image from a template, fetched by the real store from a mirror on loopback. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { imageServer } from '../../../test/setup/image-server.ts';
import { atRest, stage } from '../../../test/setup/stacks.ts';

const mirror = http.createServer((request, answer) => {
  if (request.url === '/disk.raw') answer.end(Buffer.alloc(1 << 20, 5));
  else answer.writeHead(404, 'Not Found').end();
});

const template = (location: string) => ({
  heat_template_version: '2021-04-16',
  resources: {
    image: {
      type: 'OS::Glance::WebImage',
      properties: { name: 'fetched', disk_format: 'raw', container_format: 'bare', location, os_distro: 'debian' },
    },
  },
  outputs: { show: { value: { get_attr: ['image', 'show'] } } },
});

it('is fetched, shown, and deleted with its stack; a mirror without it is told', async () => {
  await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(mirror.address() as AddressInfo).port}`;
  const { world, images, close } = await imageServer({ limits: { importHosts: [host] } });
  onTestFinished(async () => {
    await close();
    mirror.close();
  });
  const { orchestration } = stage(world, { images });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  const { id } = await orchestration.createStack(context, 's', { template: template(`http://${host}/disk.raw`) });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  const image = await images.find(context, 'fetched');
  expect(image).toMatchObject({ status: 'active', size: 1 << 20, properties: { os_distro: 'debian' } });
  const [shown] = await orchestration.outputs(context, 's');
  expect(shown?.output_value).toMatchObject({ id: image.id, status: 'active' });
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
  await expect(images.find(context, image.id)).rejects.toThrow(/No image found/);
  await orchestration.createStack(context, 'gone', { template: template(`http://${host}/none`) });
  expect(await atRest(world, orchestration, 'gone')).toBe('CREATE_FAILED');
  expect((await orchestration.findStack(context, 'gone')).reason).toMatch(/it answers 404 Not Found/);
}, 60_000);
