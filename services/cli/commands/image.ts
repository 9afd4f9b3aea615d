/** `undercloud image`: builds gold images in this process, and puts them into the store over the API. */
import type { Command } from 'commander';
import { toFault } from '../../core/errors/index.ts';
import { exitCodes } from '../exit.ts';
import { findImage, imageSize, type StoredImage } from '../image-store.ts';
import { fields, table } from '../output.ts';
import { action } from '../program.ts';
import { inParallel } from '../watch.ts';
import { buildCommand, planCommand } from './image-build.ts';
import { diffCommand, testCommand, verifyCommand } from './image-check.ts';
import { collectCommand } from './image-collect.ts';
import { registerCommand } from './image-register.ts';

export function imageCommands(program: Command): void {
  const image = program.command('image').description('gold images: build from elements, check, register, list');
  buildCommand(image);
  planCommand(image);
  verifyCommand(image);
  diffCommand(image);
  testCommand(image);
  registerCommand(image);
  listCommand(image);
  showCommand(image);
  deleteCommand(image);
  collectCommand(image);
}

function listCommand(image: Command): void {
  image
    .command('list')
    .option('--hidden', 'also images that were replaced while servers ran on them')
    .description('the images in the store')
    .action(
      action(async (session, flags: { hidden?: boolean }) => {
        const cloud = await session.cloud();
        const images = await cloud.list<StoredImage>('image', '/v2/images?limit=200&sort=name:asc', 'images');
        const shown = images.filter((one) => flags.hidden || !one.os_hidden);
        session.output.result(shown, () =>
          shown.length === 0
            ? 'There are no images; `undercloud image build NAME` makes one.'
            : table(
                ['name', 'id', 'status', 'size', 'format', 'created'],
                shown.map((one) => [one.name, one.id, one.status, imageSize(one), one.disk_format, one.created_at]),
              ),
        );
        return undefined;
      }),
    );
}

function showCommand(image: Command): void {
  image
    .command('show')
    .argument('<image>', 'name or id')
    .description('an image in full')
    .action(
      action(async (session, name: string) => {
        const one = await findImage(await session.cloud(), name);
        session.output.result(one, () =>
          fields(
            Object.entries(one)
              .filter(([key]) => !['self', 'file', 'schema'].includes(key))
              .map(([key, value]) => [
                key,
                value === null || value === ''
                  ? null
                  : typeof value === 'object'
                    ? JSON.stringify(value)
                    : String(value),
              ]),
          ),
        );
        return undefined;
      }),
    );
}

function deleteCommand(image: Command): void {
  image
    .command('delete')
    .argument('<image...>', 'names or ids')
    .description('remove images from the store; one that servers run on stays')
    .action(
      action(async (session, names: string[]) => {
        const cloud = await session.cloud();
        const results = await inParallel(names, 2, async (name) => {
          try {
            const { id } = await findImage(cloud, name);
            await cloud.request('DELETE', 'image', `/v2/images/${id}`);
            session.output.progress(`✔ ${name}: deleted`, { image: id, state: 'deleted' });
            return { image: name, deleted: true, error: null };
          } catch (error) {
            if (session.interrupted.aborted) throw error;
            const { message } = toFault(error);
            session.output.progress(`✘ ${name}: ${message}`, { image: name, state: 'failed' });
            return { image: name, deleted: false, error: message };
          }
        });
        if (session.output.json) session.output.result(results, () => '');
        return results.every((one) => one.deleted) ? exitCodes.ok : exitCodes.failed;
      }),
    );
}
