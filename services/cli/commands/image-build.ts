/** `undercloud image build|plan`: gold images from definitions or elements, made in this process. */
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { debianStoreOf } from '../../../bootstrap/debian-store.ts';
import { ensurePackages, missingPackages, type PackageGroup } from '../../../bootstrap/packages.ts';
import type { BuildOptions, BuiltImage, ImageDefinition, ImageType, StepRecord } from '../../builder/index.ts';
import { statePaths } from '../../core/config.ts';
import { fault } from '../../core/errors/index.ts';
import { type Registered, registerImage } from '../image-store.ts';
import { bytes, duration, table } from '../output.ts';
import { action, requireRoot, type Session } from '../program.ts';
import { runSteps } from '../steps.ts';
import { stageBoard } from './stage-board.ts';

export interface BuildFlags {
  output?: string;
  register?: boolean;
  cache: boolean;
  keep?: boolean;
  elementsPath?: string;
  imageCache?: string;
  signingKey?: string;
  lock?: string;
  logfile?: string;
  image?: string;
  // diskimage-builder's own.
  a?: string;
  o?: string;
  types?: string;
  x?: number;
  u?: boolean;
  c?: boolean;
  n?: boolean;
  p?: string[];
  checksum?: boolean;
  imageSize?: string;
  imageExtraSize?: string;
  maxOnlineResize?: string;
  mkfsJournalSize?: string;
  mkfsOptions?: string;
  qemuImgOptions?: string;
  rootLabel?: string;
  ramdiskElement?: string;
  ramdisk?: boolean;
  installType?: string;
  dockerTarget?: string;
  offline?: boolean;
}

/** Loaded by the command that needs it. */
export const builderRoom = () => import('../../builder/index.ts');

/** Options that say what to build: the same for build, plan and verify. */
export function definitionOptions(command: Command): Command {
  const more = (value: string, before: string[] = []) => [...before, value];
  return command
    .option('-a <arch>', 'architecture of the image (default: this machine’s)')
    .option('-o <name>', 'write NAME.TYPE (relative to here) and NAME.d/ instead of a directory in the cache')
    .option(
      '-t, --types <list>',
      'chunks (what is registered), raw, qcow2, tar, tgz, squashfs, vhd, vmdk, vdi, oci, docker, aci, kernel, tree; several with commas',
    )
    .option(
      '-x',
      'trace the elements’ scripts; twice for more. A failed script’s tree is kept, as with --keep',
      (_: unknown, before: number) => before + 1,
      0,
    )
    .option('-u', 'do not compress the image')
    .option('-c', 'clear the environment: no DIB_ variable of the caller reaches the elements')
    .option('-n', 'without the element “base”, which comes first otherwise where diskimage-builder’s elements are used')
    .option('-p <packages>', 'further packages, several with commas; may be repeated', more)
    .option('--checksum', 'write NAME.TYPE.md5 and NAME.TYPE.sha256 too')
    .option('--image-size <GB>', 'size of the disk (default: what the tree needs)')
    .option('--image-extra-size <GB>', 'free space beyond what the tree needs')
    .option('--max-online-resize <blocks>', 'blocks of 4 KiB that the root file system can be grown to')
    .option('--mkfs-journal-size <MB>', 'journal of the root file system')
    .option('--mkfs-options <options>', 'options for mkfs of the root file system')
    .option(
      '--qemu-img-options <options>',
      'options for qemu-img, such as compression_type=zlib for readers before QEMU 5.1',
    )
    .option('--root-label <label>', 'label of the root file system (cloudimg-rootfs)')
    .option('--ramdisk', 'build a ramdisk (diskimage-builder’s ramdisk-image-create)')
    .option('--ramdisk-element <name>', 'its main element (ramdisk)')
    .option('--install-type <type>', 'how elements install by default: source or package (source)')
    .option('--docker-target <name>', 'repository and tag of type docker and oci')
    .option('--offline', 'do not bring cached sources up to date (DIB_OFFLINE)')
    .option(
      '--elements-path <dirs>',
      'searched before the shipped elements; diskimage-builder’s packaged ones come last (ELEMENTS_PATH)',
    )
    .option('--image-cache <dir>', 'layers, packages and fetched sources (default: the state’s cache)')
    .option('--image <name>', 'which of the images of a file that defines several')
    .option('--no-tmpfs', 'accepted for diskimage-builder’s sake: a build needs no tmpfs')
    .option('--min-tmpfs <GB>', 'accepted for diskimage-builder’s sake');
}

/** diskimage-builder's words for the flags, in its own order. */
function dibWords(flags: BuildFlags): string[] {
  const pairs: [string, string | undefined][] = [
    ['-a', flags.a],
    ['-o', flags.o],
    ['-t', flags.types],
    ['--image-size', flags.imageSize],
    ['--image-extra-size', flags.imageExtraSize],
    ['--max-online-resize', flags.maxOnlineResize],
    ['--mkfs-journal-size', flags.mkfsJournalSize],
    ['--qemu-img-options', flags.qemuImgOptions],
    ['--root-label', flags.rootLabel],
    ['--install-type', flags.installType],
    ['--docker-target', flags.dockerTarget],
    ...(flags.p ?? []).map((each): [string, string] => ['-p', each]),
  ];
  const words = pairs.flatMap(([option, value]) => (value === undefined ? [] : [option, value]));
  const switches: [string, boolean | undefined][] = [
    ['-u', flags.u],
    ['-c', flags.c],
    ['-n', flags.n],
    ['--checksum', flags.checksum],
    ['--offline', flags.offline],
  ];
  for (let i = 0; i < (flags.x ?? 0); i++) words.push('-x');
  return [...words, ...switches.flatMap(([option, on]) => (on ? [option] : []))];
}

/** One definition of `images/` or of a file, or elements on the command line. */
export async function definitionFrom(
  names: readonly string[],
  flags: BuildFlags,
): Promise<{ definition: ImageDefinition; named: boolean }> {
  const { applyDibArguments, definitionOf, IMAGE_TYPES, loadDefinitions, SHIPPED_IMAGES } = await builderRoom();
  const [first = ''] = names;
  const wrong = flags.types?.split(',').find((type) => !(IMAGE_TYPES as readonly string[]).includes(type));
  if (wrong !== undefined)
    throw fault('usage', { reason: `“${wrong}” is no type of image: there are ${IMAGE_TYPES.join(', ')}.` });
  const isFile = /\.ya?ml$/.test(first) || existsSync(join(SHIPPED_IMAGES, `${first}.yaml`));
  if (isFile && names.length > 1)
    throw fault('usage', {
      reason: `“${first}” is a definition: it says by itself what it is made of, and takes no further elements.`,
    });
  let definition: ImageDefinition;
  if (isFile) {
    const list = await loadDefinitions(first);
    const chosen = flags.image === undefined ? list : list.filter(({ name }) => name === flags.image);
    if (chosen.length !== 1)
      throw fault('usage', {
        reason: `${first} defines ${list.map(({ name }) => name).join(', ')}: say which with --image.`,
      });
    definition = chosen[0]!;
  } else {
    definition = definitionOf(names);
    if (flags.ramdisk || flags.ramdiskElement) definition.ramdiskElement = flags.ramdiskElement ?? 'ramdisk';
  }
  if (flags.mkfsOptions !== undefined) definition.mkfsOptions = flags.mkfsOptions.split(/\s+/).filter(Boolean);
  const changed = applyDibArguments(definition, dibWords(flags), 'the command line');
  if (!isFile) changed.arguments = [...dibWords(flags), ...names].join(' ');
  return { definition: changed, named: isFile };
}

/** Debian's packages for building, and diskimage-builder's elements where an image wants one that is not ours. */
async function bringTools(session: Session, definition: ImageDefinition, elementsPath: string[]): Promise<void> {
  const { SHIPPED_ELEMENTS } = await builderRoom();
  const wanted = [...definition.elements, ...(definition.base ? ['base'] : []), definition.ramdiskElement ?? []].flat();
  const isThere = (name: string) => [...elementsPath, SHIPPED_ELEMENTS].some((dir) => existsSync(join(dir, name)));
  const groups: PackageGroup[] = wanted.every(isThere) ? ['images'] : ['images', 'elements'];
  const missing = await missingPackages(groups);
  if (missing.length === 0) return;
  const title = 'install Debian packages';
  const store = debianStoreOf(session.stateDir);
  const run = async (say: (line: string) => void) => `${(await ensurePackages(groups, say, store)).length} packages`;
  await runSteps([{ title, run }], session.output);
}

export async function buildOptions(
  session: Session,
  definition: ImageDefinition,
  flags: BuildFlags,
): Promise<BuildOptions> {
  const paths = statePaths(session.stateDir);
  const elementsPath = (flags.elementsPath ?? process.env.ELEMENTS_PATH)?.split(':').filter(Boolean);
  await bringTools(session, definition, elementsPath ?? []);
  const cache = flags.imageCache ?? process.env.DIB_IMAGE_CACHE ?? join(paths.cache, 'builder');
  const key = flags.signingKey ?? (existsSync(paths.signingKey) ? paths.signingKey : undefined);
  return {
    definition,
    out: flags.output ?? join(paths.cache, 'images'),
    cache,
    useCache: flags.cache !== false,
    keep: flags.keep === true || (flags.x ?? 0) > 0,
    keepOld: process.env.OVERWRITE_OLD_IMAGE === undefined || process.env.OVERWRITE_OLD_IMAGE === '0',
    ...(elementsPath && { elementsPath }),
    ...(key && { signingKey: key }),
    ...(flags.lock !== undefined && { lock: resolve(flags.lock) }),
    signal: session.interrupted,
  };
}

/** The builder's own sentence, with the last lines of what failed before it. */
export async function asFault(error: unknown, session: Session): Promise<unknown> {
  const { BuildError } = await builderRoom();
  if (!(error instanceof BuildError)) return error;
  for (const line of error.tail) session.output.progress(line);
  return fault('build-failed', { message: error.message }, error);
}

/** Runs the builder with its stages on the board, and every line of its scripts in `logfile` where one is wanted. */
export async function runBuild(
  session: Session,
  options: BuildOptions,
  after?: (built: BuiltImage, board: ReturnType<typeof stageBoard>) => Promise<void>,
  logfile?: string,
): Promise<BuiltImage> {
  const { buildImage } = await builderRoom();
  const log = logfile === undefined ? undefined : openSync(logfile, 'w');
  const board = stageBoard(session);
  try {
    const built = await buildImage({
      ...options,
      onProgress: ({ phase, element, script, line }) => {
        if (log !== undefined)
          writeSync(
            log,
            `${new Date().toISOString()} ${[phase, element, script].filter(Boolean).join('/')}: ${line ?? ''}\n`,
          );
        if (phase === 'warning') session.output.progress(`! ${line ?? ''}`);
        else board.stage(phase, [element, script, line].filter(Boolean).join(': '));
      },
    });
    await after?.(built, board);
    board.close(false);
    return built;
  } catch (error) {
    board.close(true);
    throw await asFault(error, session);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

export function buildCommand(image: Command): void {
  definitionOptions(
    image
      .command('build')
      .argument('<what...>', 'a definition in images/, the path of a YAML file, or the elements to build from'),
  )
    .option('--output <dir>', 'where the result goes, in a directory of the image’s name (default: the state’s cache)')
    .option('--register', 'put the result into the store (the default for a definition with chunks and without -o)')
    .option('--no-register', 'build only; needs no undercloud')
    .option('--no-cache', 'from nothing: no cached layer')
    .option('--logfile <file>', 'write every line of the elements’ scripts there too')
    .option('--lock <file>', 'a lock.json: its packages from the package store, instead of the mirrors’ newest')
    .option('--keep', 'leave the tree of a failed script behind, with a command that opens a shell in it')
    .option(
      '--signing-key <file>',
      'Ed25519 key that signs the manifest (default: the undercloud’s, else one of the builder’s own)',
    )
    .description(
      'build a gold image from a definition or from elements; what has not changed is neither built nor sent again',
    )
    .action(
      action(async (session, what: string[], flags: BuildFlags) => {
        requireRoot('image build', 'sets owners and devices in a chroot');
        const { definition, named } = await definitionFrom(what, flags).catch(async (error) => {
          throw await asFault(error, session);
        });
        const types: ImageType[] = definition.types;
        const register = flags.register ?? (named && definition.output === undefined);
        if (register && !types.includes('chunks'))
          throw fault('image-built-without-chunks', { name: definition.name, types: types.join(', ') });
        // Before half an hour of work, not after it.
        const cloud = register ? await session.cloud() : null;
        const began = Date.now();
        let stored: Registered | null = null;
        const built = await runBuild(
          session,
          await buildOptions(session, definition, flags),
          async (fresh, board) => {
            if (!cloud) return;
            board.stage('register');
            stored = await registerImage(cloud, {
              directory: fresh.directory,
              manifest: fresh.manifest,
              onBytes: (done, total) =>
                board.note(total === 0 ? 'all there already' : `${bytes(done)} of ${bytes(total)}`),
            });
            board.note(stored.registered ? `${bytes(stored.sent)} sent` : 'it was registered already');
          },
          flags.logfile,
        );
        report(session, built, stored, began);
        return undefined;
      }),
    );
}

function report(session: Session, built: BuiltImage, stored: Registered | null, began: number): void {
  const { manifest, directory, unchanged, files, warnings } = built;
  const result = {
    name: manifest.name,
    directory,
    files,
    unchanged,
    size: manifest.size,
    sha512: manifest.sha512,
    warnings,
    image: stored,
  };
  session.output.result(result, () => [
    `${unchanged ? 'Nothing has changed since' : 'Built'} ${manifest.name}: ${manifest.size > 0 ? `${bytes(manifest.size)}, ` : ''}${manifest.packages.length} packages, ${directory} (${duration(Date.now() - began)})`,
    ...files.filter((file) => !file.startsWith(directory)),
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
  ]);
}

const stepState = ({ state }: StepRecord): string => (state === 'run' ? 'runs' : state);

export function planCommand(image: Command): void {
  definitionOptions(image.command('plan').argument('<what...>', 'as for build'))
    .description('which layers a build would find, and why one is missing; nothing is built')
    .action(
      action(async (session, what: string[], flags: BuildFlags) => {
        requireRoot('image plan', 'runs extra-data.d in namespaces of its own');
        const { planImage } = await builderRoom();
        try {
          const { definition } = await definitionFrom(what, flags);
          const plan = await planImage(await buildOptions(session, definition, { ...flags, cache: true }));
          const steps = plan.steps.map(({ parts: _, ...step }) => step);
          session.output.result({ ...plan, name: definition.name, steps }, () =>
            [
              `${definition.name}: ${plan.unchanged ? 'nothing has changed since the last build' : 'there is something to do'}; assembly ${plan.layout}`,
              `elements: ${plan.elements.join(' ')}`,
              table(
                ['step', 'element', 'layer', 'why'],
                plan.steps.map((step) => [
                  `${step.phase}/${step.script}`,
                  step.element,
                  stepState(step),
                  step.reason ?? '',
                ]),
              ),
            ].flat(),
          );
          return undefined;
        } catch (error) {
          throw await asFault(error, session);
        }
      }),
    );
}
