/** `undercloud bundle`: all that a machine without a network needs, in one signed file. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  BundleError,
  type BundleIndex,
  type BundlePart,
  bundleParts,
  checkout,
  debianStoreOf,
  fingerprint,
  gatherDebian,
  hasDebianStore,
  loadBundle,
  type OpenBundle,
  type PartSource,
  packageGroups,
  programSource,
  unpackByHand,
} from '../../../bootstrap/index.ts';
import { statePaths } from '../../core/config.ts';
import { fault } from '../../core/errors/index.ts';
import { exitCodes } from '../exit.ts';
import { bytes, table } from '../output.ts';
import { action, type Session } from '../program.ts';

const parts = Object.keys(bundleParts) as BundlePart[];
const aptCache = '/var/cache/apt/archives';
const defaultPlace = '/opt/undercloud';

export function bundleCommands(program: Command): void {
  const bundle = program
    .command('bundle')
    .description('everything a machine without a network needs, in one signed file: make, check, unpack');
  createCommand(bundle);
  verifyCommand(bundle);
  loadCommand(bundle);
}

/** @throws Fault `usage` */
function partsOf(given: string | undefined): BundlePart[] {
  if (given === undefined) return parts;
  const named = given.split(',').filter(Boolean);
  const wrong = named.find((name) => !(parts as string[]).includes(name));
  if (wrong !== undefined || named.length === 0)
    throw fault('usage', { reason: `“${wrong ?? ''}” is no part of a bundle: there are ${parts.join(', ')}.` });
  return named as BundlePart[];
}

function privateKey(path: string): KeyObject {
  try {
    const key = createPrivateKey(readFileSync(path));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    throw fault('bundle-key', { path, reason: (error as Error).message });
  }
  throw fault('bundle-key', { path, reason: 'it is of another kind.' });
}

function sourcesOf(session: Session, wanted: readonly BundlePart[], flags: CreateFlags): PartSource[] {
  const paths = statePaths(session.stateDir);
  const all: Record<BundlePart, PartSource | null> = {
    program: programSource(checkout),
    boot: { part: 'boot', directory: paths.boot },
    images: {
      part: 'images',
      directory: join(paths.cache, 'images'),
      ...(flags.images && { entries: flags.images.split(',') }),
    },
    packages: { part: 'packages', directory: join(builderCache(session, flags), 'apt') },
    debian: { part: 'debian', directory: debianOf(session, flags) },
    elements: flags.elements ? { part: 'elements', directory: resolve(flags.elements) } : null,
  };
  return parts.flatMap((part) => (wanted.includes(part) ? (all[part] ?? []) : []));
}

const builderCache = (session: Session, { imageCache }: CreateFlags): string =>
  imageCache === undefined ? join(statePaths(session.stateDir).cache, 'builder') : resolve(imageCache);

const debianOf = (session: Session, { debian }: CreateFlags): string =>
  debian === undefined ? debianStoreOf(session.stateDir) : resolve(debian);

/** All that bootstrap and the image builder may install, of a lab too. */
const bootstrapsOn = [
  ...packageGroups.undercloud,
  ...packageGroups.images,
  ...packageGroups.elements,
  ...packageGroups.lab,
];

async function gathered(session: Session, file: string, flags: CreateFlags): Promise<void> {
  const directory = debianOf(session, flags);
  const store = join(builderCache(session, flags), 'apt');
  // A directory for each release.
  const archives = existsSync(store) ? readdirSync(store).map((release) => join(store, release, 'archives')) : [];
  const from = [aptCache, ...archives];
  const packages = [...new Set<string>(bootstrapsOn)];
  try {
    const { packages: all, fetched } = await gatherDebian({ directory, packages, from });
    session.output.progress(`✔ ${all} Debian packages, ${fetched} of them fetched now`, { packages: all, fetched });
  } catch (error) {
    const { message } = error as Error;
    // On a machine that was itself made from a bundle there is no more than what came with that.
    if (hasDebianStore(directory))
      session.output.progress(`! Debian packages as they are in ${directory}: apt says ${message}`);
    else
      throw fault(
        'bundle-not-made',
        { file, reason: `Debian’s packages could not be gathered in ${directory}: ${message}` },
        error,
      );
  }
}

interface CreateFlags {
  parts?: string;
  images?: string;
  elements?: string;
  debian?: string;
  imageCache?: string;
  signingKey?: string;
}

function createCommand(bundle: Command): void {
  bundle
    .command('create')
    .argument('<file>', 'the bundle to write')
    .option('--parts <list>', `of ${parts.join(', ')} (default: all that are there)`)
    .option('--images <list>', 'names of built images (default: all in the state’s cache)')
    .option('--elements <dir>', 'elements beside the shipped ones, which are part of the program')
    .option('--debian <dir>', 'where Debian’s packages are gathered (default: in the state’s cache)')
    .option('--image-cache <dir>', 'as for `image build`: the builder’s package store is taken from it')
    .option('--signing-key <file>', 'Ed25519 key in PEM (default: the undercloud’s)')
    .description('program, ramdisks, packages and images of this machine into one signed file')
    .action(
      action(async (session, file: string, flags: CreateFlags) => {
        const wanted = partsOf(flags.parts);
        const key = privateKey(flags.signingKey ?? statePaths(session.stateDir).signingKey);
        const { createBundle } = await loadBundle();
        const sources = sourcesOf(session, wanted, flags);
        if (wanted.includes('debian')) await gathered(session, file, flags);
        const made = await createBundle({
          file: resolve(file),
          sources,
          key,
          version: null,
          made: Math.floor(Date.now() / 1000),
          signal: session.interrupted,
          onPart: (part, packed) => session.output.progress(`✔ ${part}: ${bytes(packed)}`, { part, bytes: packed }),
        }).catch((error: Error) => {
          throw fault('bundle-not-made', { file, reason: error.message }, error);
        });
        const result = {
          file: resolve(file),
          size: made.size,
          sha256: made.sha256,
          fingerprint: fingerprint(key),
          segments: made.segments,
        };
        const program = made.segments.find(({ part }) => part === 'program');
        session.output.result(result, () => [
          ...segmentTable(made),
          '',
          `${bytes(made.size)} in ${file}, signed by ${result.fingerprint}`,
          'Whoever loads it has to be told that fingerprint by another way than the bundle.',
          ...(program
            ? [
                '',
                'Where there is no program yet that could load it, compare the file’s sha256 and unpack one from it:',
                `  echo '${made.sha256}  ${basename(file)}' | sha256sum -c`,
                ...unpackByHand(basename(file), program.length, defaultPlace).map((line) => `  ${line}`),
              ]
            : []),
        ]);
        return exitCodes.ok;
      }),
    );
}

const segmentTable = ({ segments }: Pick<BundleIndex, 'segments'>): string[] =>
  table(
    ['part', 'what', 'files', 'bytes', 'packed'],
    segments.map(({ part, files, bytes: raw, length }) => [
      part,
      bundleParts[part],
      String(files),
      bytes(raw),
      bytes(length),
    ]),
  );

/** A fingerprint, a public key's file, or by default the key of this state. */
function trusted(session: Session, given: string | undefined): string {
  if (given !== undefined && /^[0-9a-f]{64}$/i.test(given)) return given.toLowerCase();
  const path = given ?? statePaths(session.stateDir).signingKey;
  if (given === undefined && !existsSync(path)) return 'nobody';
  try {
    const text = readFileSync(path);
    return fingerprint(text.includes('PRIVATE') ? createPrivateKey(text) : createPublicKey(text));
  } catch (error) {
    throw fault('bundle-key', { path, reason: (error as Error).message });
  }
}

async function opened(session: Session, file: string, trust: string | undefined): Promise<OpenBundle> {
  const { openBundle } = await loadBundle();
  const who = trusted(session, trust);
  return openBundle(resolve(file), who, (signer) => fault('bundle-untrusted', { file, signer, trusted: who })).catch(
    (error: Error) => {
      throw asFault(error, file);
    },
  );
}

function asFault(error: Error & { code?: string }, file: string): Error {
  if (error instanceof BundleError) return fault('bundle-refused', { file, reason: error.message }, error);
  if (error.code === 'ENOENT') return fault('bundle-refused', { file, reason: 'there is no such file' }, error);
  return error;
}

const trustOption = [
  '--trust <who>',
  'the signer’s fingerprint, or a file with its public key (default: this undercloud’s own key)',
] as const;

function verifyCommand(bundle: Command): void {
  bundle
    .command('verify')
    .argument('<file>', 'the bundle')
    .option(...trustOption)
    .description('check a bundle’s signature and every byte of it, and list what it holds; nothing is unpacked')
    .action(
      action(async (session, file: string, flags: { trust?: string }) => {
        const open = await opened(session, file, flags.trust);
        try {
          await open.verify((part) => session.output.progress(`✔ ${part}`, { part }));
          session.output.result({ ...open.index, fingerprint: open.fingerprint }, () => [
            ...segmentTable(open.index),
            '',
            `whole, and signed by ${open.fingerprint}`,
          ]);
        } catch (error) {
          throw asFault(error as Error, file);
        } finally {
          await open.close();
        }
        return exitCodes.ok;
      }),
    );
}

interface LoadFlags {
  trust?: string;
  parts?: string;
  program: string;
}

function loadCommand(bundle: Command): void {
  bundle
    .command('load')
    .argument('<file>', 'the bundle')
    .option(...trustOption)
    .option('--parts <list>', `of ${parts.join(', ')} (default: all that it holds)`)
    .option('--program <dir>', 'where the program goes', defaultPlace)
    .description('unpack a bundle into the state directory, before or after bootstrap; all of it is verified first')
    .action(
      action(async (session, file: string, flags: LoadFlags) => {
        const wanted = partsOf(flags.parts);
        const paths = statePaths(session.stateDir);
        const places: Record<BundlePart, string> = {
          program: resolve(flags.program),
          boot: paths.boot,
          images: join(paths.cache, 'images'),
          packages: join(paths.cache, 'builder', 'apt'),
          debian: debianStoreOf(session.stateDir),
          elements: join(paths.cache, 'elements'),
        };
        const open = await opened(session, file, flags.trust);
        // It was unpacked by hand, and is what runs here.
        const isThere = places.program === checkout;
        const segments = open.index.segments.filter(
          ({ part }) => wanted.includes(part) && !(isThere && part === 'program'),
        );
        try {
          // A running program is not replaced under itself.
          if (
            segments.some(({ part }) => part === 'program') &&
            existsSync(places.program) &&
            readdirSync(places.program).length > 0
          )
            throw fault('bundle-program-there', { directory: places.program });
          await open.verify();
          session.output.progress(`✔ whole, and signed by ${open.fingerprint}`);
          if (isThere && wanted.includes('program'))
            session.output.progress(`- program: the one in ${checkout} is what runs`);
          for (const segment of segments) {
            await open.unpack(segment, places[segment.part]);
            session.output.progress(`✔ ${segment.part}: ${places[segment.part]}`, { part: segment.part });
          }
        } catch (error) {
          throw asFault(error as Error, file);
        } finally {
          await open.close();
        }
        const loaded = segments.map(({ part, files, bytes: raw }) => ({
          part,
          directory: places[part],
          files,
          bytes: raw,
        }));
        session.output.result({ fingerprint: open.fingerprint, loaded }, () => [
          ...table(
            ['part', 'directory', 'files', 'bytes'],
            loaded.map((one) => [one.part, one.directory, String(one.files), bytes(one.bytes)]),
          ),
        ]);
        return exitCodes.ok;
      }),
    );
}
