/** `undercloud image collect`: bytes of the image store that no image names. */
import type { Command } from 'commander';
import { bytes } from '../output.ts';
import { action } from '../program.ts';

interface Collected {
  blobs: number;
  bytes: number;
}

export function collectCommand(image: Command): void {
  image
    .command('collect')
    .option('--dry-run', 'count them and remove nothing')
    .description(
      'remove bytes of the store that no image has named for a day; the undercloud does so once a day by itself',
    )
    .action(
      action(async (session, flags: { dryRun?: boolean }) => {
        const cloud = await session.cloud();
        const method = flags.dryRun ? 'GET' : 'DELETE';
        const { body: found } = await cloud.request<Collected>(method, 'image', '/v2/unused');
        const what = flags.dryRun ? 'nothing names' : 'removed';
        session.output.result(found, () => `${what} ${found.blobs} blobs, ${bytes(found.bytes)}`);
      }),
    );
}
