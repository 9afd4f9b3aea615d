/** `undercloud image`: builds gold images in this process, and puts them into the store over the API. */
import { join } from 'node:path';
import type { Command } from 'commander';
import type { BuiltImage, ImageType } from '../../builder/index.ts';
import { statePaths } from '../../core/config.ts';
import { fault, toFault } from '../../core/errors/index.ts';
import { createBoard, type Row } from '../board.ts';
import { exitCodes } from '../exit.ts';
import { findImage, imageSize, type Registered, registerImage, type StoredImage } from '../image-store.ts';
import { bytes, duration, fields, table } from '../output.ts';
import { action, requireRoot, type Session } from '../program.ts';
import { inParallel } from '../watch.ts';

interface BuildFlags {
  output?: string;
  register: boolean;
  cache: boolean;
  types?: string;
  elementsPath?: string;
}

const frameMs = 120;
/** When piped, the beginning of a stage is told only once it lasts. */
const slowMs = 2_000;
/** Loaded by the command that needs it. */
const builderRoom = () => import('../../builder/index.ts');

export function imageCommands(program: Command): void {
  const image = program.command('image').description('gold images: build from elements, register, list');
  buildCommand(image);
  listCommand(image);
  showCommand(image);
  deleteCommand(image);
}

/** Stages as rows; the last one runs until the next begins. */
function stageBoard(session: Session) {
  const board = createBoard(session.output);
  const rows: { base: string; name: string; text: string; began: number; ended: number | null; failed: boolean }[] = [];
  const tellable = (row: (typeof rows)[number]): boolean =>
    session.output.live || row.ended !== null || Date.now() - row.began >= slowMs;
  const show = () =>
    board.show(
      rows.filter(tellable).map(
        (row): Row => ({
          key: row.name,
          name: row.name,
          state: row.ended === null ? 'running' : row.failed ? 'failed' : 'done',
          // Lines of scripts fly by on a terminal; when piped, stages alone are told.
          text: session.output.live && row.ended === null ? row.text : '',
          clock: [row.ended !== null && row.text, duration((row.ended ?? Date.now()) - row.began)]
            .filter(Boolean)
            .join(', '),
        }),
      ),
    );
  const timer = setInterval(show, session.output.live ? frameMs : slowMs);
  const end = (failed: boolean) => {
    const last = rows.at(-1);
    if (last?.ended === null) Object.assign(last, { ended: Date.now(), failed });
  };
  return {
    stage(name: string, text = '') {
      const last = rows.at(-1);
      // A stage that is taken up again at once (the scripts of one phase) goes on as the same row.
      if (last?.base === name) {
        Object.assign(last, { text, ended: null });
        return;
      }
      end(false);
      if (last) last.text = '';
      // A stage may come twice (the tree, the packages): each gets its own row.
      const again = rows.filter((row) => row.base === name).length;
      rows.push({
        base: name,
        name: again > 0 ? `${name} (${again + 1})` : name,
        text,
        began: Date.now(),
        ended: null,
        failed: false,
      });
      show();
    },
    note(text: string) {
      const last = rows.at(-1);
      if (last) last.text = text;
    },
    close(failed: boolean) {
      clearInterval(timer);
      end(failed);
      show();
      board.end();
    },
  };
}

async function build(
  session: Session,
  name: string,
  flags: BuildFlags,
  board: ReturnType<typeof stageBoard>,
): Promise<BuiltImage> {
  const { buildImage, IMAGE_TYPES, loadDefinition } = await builderRoom();
  const paths = statePaths(session.stateDir);
  const wrong = flags.types?.split(',').find((type) => !(IMAGE_TYPES as readonly string[]).includes(type));
  if (wrong !== undefined)
    throw fault('usage', { reason: `“${wrong}” is no type of image: there are ${IMAGE_TYPES.join(', ')}.` });
  const types = flags.types?.split(',') as ImageType[] | undefined;
  const definition = await loadDefinition(name);
  if (flags.register && !(types ?? definition.types).includes('chunks'))
    throw fault('image-built-without-chunks', { name, types: (types ?? definition.types).join(', ') });
  const elementsPath = (flags.elementsPath ?? process.env.ELEMENTS_PATH)?.split(':').filter(Boolean);
  return buildImage({
    definition,
    out: flags.output ?? join(paths.cache, 'images'),
    cache: join(paths.cache, 'builder'),
    useCache: flags.cache,
    ...(types && { types }),
    ...(elementsPath && { elementsPath }),
    signal: session.interrupted,
    onProgress: ({ phase, element, script, line }) =>
      board.stage(phase, [element, script, line].filter(Boolean).join(': ')),
  });
}

function buildCommand(image: Command): void {
  image
    .command('build')
    .argument('<name>', 'a definition in images/, or the path of a YAML file')
    .option('--output <dir>', 'where the result goes, in a directory of the image’s name (default: the state’s cache)')
    .option('--no-register', 'build only; needs no undercloud')
    .option('--no-cache', 'from nothing: no cached base, layers or packages')
    .option('-t, --types <list>', 'chunks (what is registered), raw, qcow2, tree; several with commas')
    .option('--elements-path <dirs>', 'searched before the shipped elements (ELEMENTS_PATH)')
    .description('build a gold image and register it; what has not changed is neither built nor sent again')
    .action(
      action(async (session, name: string, flags: BuildFlags) => {
        requireRoot('image build', 'sets owners and devices in a chroot');
        // Before half an hour of work, not after it.
        const cloud = flags.register ? await session.cloud() : null;
        const began = Date.now();
        const board = stageBoard(session);
        let built: BuiltImage;
        let stored: Registered | null = null;
        try {
          built = await build(session, name, flags, board);
          if (cloud) {
            board.stage('register');
            stored = await registerImage(cloud, {
              directory: built.directory,
              manifest: built.manifest,
              onBytes: (done, total) =>
                board.note(total === 0 ? 'all there already' : `${bytes(done)} of ${bytes(total)}`),
            });
            board.note(stored.registered ? `${bytes(stored.sent)} sent` : 'it was registered already');
          }
          board.close(false);
        } catch (error) {
          board.close(true);
          throw await asFault(error, session);
        }
        const { manifest, directory, unchanged } = built;
        session.output.result(
          { name: manifest.name, directory, unchanged, size: manifest.size, sha512: manifest.sha512, image: stored },
          () => [
            `${unchanged ? 'Nothing has changed since' : 'Built'} ${manifest.name}: ${bytes(manifest.size)}, ${manifest.packages.length} packages, ${directory} (${duration(Date.now() - began)})`,
            ...(stored
              ? [
                  stored.registered
                    ? `Registered as ${stored.id}; ${bytes(stored.sent)} were sent.`
                    : `It is registered as ${stored.id} already.`,
                ]
              : []),
            ...(stored?.replaced
              ? [
                  stored.replaced.kept === null
                    ? `It replaces ${stored.replaced.id}.`
                    : `${stored.replaced.id}, which it replaces, stays hidden: ${stored.replaced.kept}`,
                ]
              : []),
          ],
        );
        return undefined;
      }),
    );
}

/** The builder's own sentence, with the last lines of what failed before it. */
async function asFault(error: unknown, session: Session): Promise<unknown> {
  const { BuildError } = await builderRoom();
  if (!(error instanceof BuildError)) return error;
  for (const line of error.tail) session.output.progress(line);
  return fault('build-failed', { message: error.message }, error);
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
