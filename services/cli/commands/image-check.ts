/** `undercloud image verify|diff|test`: whether an image can be built again, what two differ in, whether one boots. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { statePaths } from '../../core/config.ts';
import { fault } from '../../core/errors/index.ts';
import { exitCodes } from '../exit.ts';
import { findImage, patchImage } from '../image-store.ts';
import { bytes, duration } from '../output.ts';
import { action, requireRoot, type Session } from '../program.ts';
import { asFault, type BuildFlags, builderRoom, buildOptions } from './image-build.ts';
import { stageBoard } from './stage-board.ts';

/** The directory with an image's manifest: of the cache by name, `NAME.d` here, or a path. */
export function imageDirectory(session: Session, name: string): string {
  const built = join(statePaths(session.stateDir).cache, 'images', name);
  const candidates = [resolve(`${name}.d`), resolve(name), built];
  const found = candidates.find((path) => existsSync(join(path, 'manifest.json')));
  if (found === undefined) throw fault('image-not-built', { name, places: candidates.join(', ') });
  return found;
}

export function verifyCommand(image: Command): void {
  image
    .command('verify')
    .argument('<image>', 'name of a built image, NAME of NAME.d/ here, or the directory with its manifest.json')
    .option('--elements-path <dirs>', 'as for build')
    .option('--image-cache <dir>', 'as for build: the package store is taken from it')
    .description('build an image anew from its lock and the package store, and compare every byte')
    .action(
      action(async (session, name: string, flags: Pick<BuildFlags, 'elementsPath' | 'imageCache'>) => {
        requireRoot('image verify', 'builds the image anew');
        const directory = imageDirectory(session, name);
        const { verifyImage } = await builderRoom();
        const board = stageBoard(session);
        const began = Date.now();
        try {
          const empty = { name: '', elements: [], packages: [], environment: {}, types: [], espMib: 64 };
          const { definition: _, out: __, ...options } = await buildOptions(session, empty, { ...flags, cache: true });
          const result = await verifyImage(directory, {
            ...options,
            onProgress: ({ phase, element, script, line }) =>
              board.stage(phase, [element, script, line].filter(Boolean).join(': ')),
          });
          board.close(!result.same);
          session.output.result(result, () => [
            result.same
              ? `${result.name} is reproducible: the rebuild has the same bytes (${duration(Date.now() - began)}).`
              : `${result.name}: the rebuild differs.`,
            ...result.reasons.map((reason) => `  ${reason}`),
          ]);
          return result.same ? exitCodes.ok : exitCodes.failed;
        } catch (error) {
          board.close(true);
          throw await asFault(error, session);
        }
      }),
    );
}

export function diffCommand(image: Command): void {
  image
    .command('diff')
    .argument('<a>', 'as for verify')
    .argument('<b>', 'as for verify')
    .option('--files', 'name every file that differs')
    .description(
      'what two images differ in: packages, files, and the bytes that a node with the first fetches for the second',
    )
    .action(
      action(async (session, a: string, b: string, flags: { files?: boolean }) => {
        const { diffImages } = await builderRoom();
        try {
          const diff = await diffImages(imageDirectory(session, a), imageDirectory(session, b));
          session.output.result(diff, () => [
            `packages: ${diff.packages.length === 0 ? 'the same' : ''}`,
            ...diff.packages.map(
              ({ name, before, after }) => `  ${name} ${before ?? '(none)'} -> ${after ?? '(none)'}`,
            ),
            ...(diff.files === null
              ? ['files: one of the images has no list of files (it was made by an older builder)']
              : [
                  `files: ${diff.files.added.length} added, ${diff.files.removed.length} removed, ${diff.files.changed.length} changed`,
                  ...(flags.files
                    ? [
                        ...diff.files.added.map((path) => `  + /${path}`),
                        ...diff.files.removed.map((path) => `  - /${path}`),
                        ...diff.files.changed.map((path) => `  ~ /${path}`),
                      ]
                    : []),
                ]),
            ...(diff.wire === null
              ? ['bytes on the wire: not known, since one of the images has no chunks (-t chunks)']
              : [
                  `bytes on the wire: ${bytes(diff.wire.bytes)} of ${bytes(diff.wire.wholeBytes)} (${percent(diff.wire.bytes, diff.wire.wholeBytes)}); ${diff.wire.changed} of ${diff.wire.chunks} chunks are written, ${bytes(diff.wire.diskBytes)} on the disk`,
                ]),
          ]);
          return undefined;
        } catch (error) {
          throw await asFault(error, session);
        }
      }),
    );
}

const percent = (part: number, whole: number): string => `${whole === 0 ? 0 : ((100 * part) / whole).toFixed(1)} %`;

export function testCommand(image: Command): void {
  image
    .command('test')
    .argument('<image>', 'as for verify')
    .option('--qemu', 'boot the whole disk in an emulated machine instead of its system in systemd-nspawn')
    .option('--uefi', 'with --qemu: UEFI instead of BIOS')
    .option('--secure-boot', 'with --qemu: UEFI that starts only what is signed')
    .option('--timeout <seconds>', 'how long it may take', '300')
    .option('--record', 'write the result into the properties of the image of this name in the store')
    .description('boot an image, wait for its services and run its health checks; the image itself is not changed')
    .action(
      action(
        async (
          session,
          name: string,
          flags: { qemu?: boolean; uefi?: boolean; secureBoot?: boolean; timeout: string; record?: boolean },
        ) => {
          requireRoot('image test', 'mounts the image and boots it');
          const timeoutSeconds = Number(flags.timeout);
          if (!(timeoutSeconds > 0))
            throw fault('usage', { reason: `--timeout is “${flags.timeout}”, not a number of seconds.` });
          const directory = imageDirectory(session, name);
          const cloud = flags.record ? await session.cloud() : null;
          const { testImage } = await builderRoom();
          const raw = `${directory.replace(/\.d$/, '')}.raw`;
          try {
            const result = await testImage({
              directory,
              ...(directory.endsWith('.d') && existsSync(raw) && { raw }),
              cache: join(statePaths(session.stateDir).cache, 'builder'),
              how: flags.qemu || flags.uefi || flags.secureBoot ? 'qemu' : 'nspawn',
              firmware: flags.uefi || flags.secureBoot ? 'uefi' : 'bios',
              secureBoot: flags.secureBoot ?? false,
              timeoutSeconds,
              signal: session.interrupted,
            });
            if (cloud) {
              const { id } = await findImage(cloud, name);
              await patchImage(cloud, id, {
                test_result: result.passed ? 'passed' : 'failed',
                test_boot: result.how,
                test_seconds: String(Math.round(result.seconds * 10) / 10),
              });
            }
            session.output.result(result, () => [
              `${result.passed ? '✔' : '✘'} ${name} ${result.passed ? 'is up' : 'is not well'} after ${duration(result.seconds * 1000)} (${result.how})`,
              ...result.checks.map(
                ({ name: check, passed, output }) =>
                  `  ${passed ? '✔' : '✘'} ${check}${output === '' ? '' : `: ${output.split('\n').slice(0, 5).join(' | ')}`}`,
              ),
              ...(result.passed ? [] : result.console.slice(-15).map((line) => `  | ${line}`)),
            ]);
            return result.passed ? exitCodes.ok : exitCodes.failed;
          } catch (error) {
            throw await asFault(error, session);
          }
        },
      ),
    );
}
