/** `undercloud image register`: an image that was built elsewhere, from its directory into the store; nothing is built. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { registerImage } from '../image-store.ts';
import { bytes } from '../output.ts';
import { action } from '../program.ts';
import { builderRoom } from './image-build.ts';
import { imageDirectory } from './image-check.ts';
import { stageBoard } from './stage-board.ts';

export function registerCommand(image: Command): void {
  image
    .command('register')
    .argument('<image>', 'name of a built image, NAME of NAME.d/ here, or the directory with its manifest.json')
    .description('put an image that is built into the store: from a bundle, or from another machine')
    .action(
      action(async (session, name: string) => {
        const directory = imageDirectory(session, name);
        const { readManifest } = await builderRoom();
        const manifest = await readManifest(directory);
        const refuse = (reason: string) => fault('image-not-whole', { directory, reason });
        if (!manifest) throw refuse('its manifest.json cannot be read, or files that it names are missing');
        if (!manifest.types.includes('chunks')) throw refuse('it was built without type “chunks”');
        // The store checks every object against the index, and nobody but us the index against the manifest.
        const index = createHash('sha256').update(await readFile(join(directory, 'index.json')));
        if (index.digest('hex') !== manifest.indexSha256) throw refuse('its index.json is not the one of its manifest');
        const cloud = await session.cloud();
        const board = stageBoard(session);
        try {
          board.stage('register');
          const onBytes = (done: number, total: number) =>
            board.note(total === 0 ? 'all there already' : `${bytes(done)} of ${bytes(total)}`);
          const stored = await registerImage(cloud, { directory, manifest, onBytes });
          board.close(false);
          session.output.result({ name: manifest.name, directory, image: stored }, () =>
            stored.registered
              ? `${manifest.name} is registered as ${stored.id}; ${bytes(stored.sent)} were sent.`
              : `${manifest.name} is registered as ${stored.id} already.`,
          );
          return undefined;
        } catch (error) {
          board.close(true);
          throw error;
        }
      }),
    );
}
