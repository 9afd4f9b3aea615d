/**
 * The config drive: an ISO 9660 image labelled `config-2` with OpenStack's documents, gzipped and in base64 as Ironic
 * takes it. genisoimage writes it: Rock Ridge for the lower-case names, Joliet for everybody else.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { fault } from '../core/errors/index.ts';
import { documents, ec2Tree, type MachineFacts } from './documents.ts';

const run = promisify(execFile);
const compress = promisify(gzip);

export async function configDrive(facts: MachineFacts): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'uc-drive-'));
  try {
    const root = join(dir, 'root');
    for (const version of ['latest', '2012-08-10']) {
      const place = join(root, 'openstack', version);
      await mkdir(place, { recursive: true });
      for (const [name, text] of documents(facts)) await writeFile(join(place, name), text);
    }
    const ec2 = join(root, 'ec2', 'latest');
    await mkdir(ec2, { recursive: true });
    await writeFile(join(ec2, 'meta-data.json'), JSON.stringify(ec2Tree(facts)));
    const image = join(dir, 'drive.iso');
    await run('genisoimage', [
      '-quiet',
      '-ldots',
      '-allow-lowercase',
      '-allow-multidot',
      '-l',
      '-publisher',
      'undercloud',
      '-J',
      '-r',
      '-V',
      'config-2',
      '-o',
      image,
      root,
    ]);
    return (await compress(await readFile(image))).toString('base64');
  } catch (error) {
    throw fault('config-drive', { server: facts.server.name, reason: (error as Error).message }, error);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
