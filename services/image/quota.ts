/** What a project may keep. Checked before a record is made, and while bytes come in: a client need not say how many. */
import { fault } from '../core/errors/index.ts';
import type { Ground } from './ground.ts';
import { usage } from './store/images.ts';

/** @throws Fault `image-quota` */
export async function checkCount(ground: Ground, project: string): Promise<void> {
  const most = ground.limits?.projectImages;
  if (most === undefined) return;
  const { images } = await usage(ground.house.db, project);
  if (images >= most) throw fault('image-quota', { project, what: 'images', used: images, limit: most });
}

/** Called with the bytes that came so far. @throws Fault `image-quota` */
export async function byteMeter(ground: Ground, project: string): Promise<(bytes: number) => void> {
  const most = ground.limits?.projectBytes;
  if (most === undefined) return () => {};
  const { bytes: used } = await usage(ground.house.db, project);
  return (bytes) => {
    if (used + bytes > most) throw fault('image-quota', { project, what: 'bytes of images', used, limit: most });
  };
}
