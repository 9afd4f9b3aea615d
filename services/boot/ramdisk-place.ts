/** Where the deploy ramdisk lies: of the profile that was named, or the lab's if there is one, or that for hardware. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

export function ramdiskPlace(bootDir: string, profile: string | undefined): () => Promise<string> {
  const place = (name: string) => join(bootDir, 'ramdisk', name);
  return async () => {
    if (profile !== undefined) return place(profile);
    const hasLab = await stat(join(place('lab'), 'kernel')).then(
      () => true,
      () => false,
    );
    return place(hasLab ? 'lab' : 'hardware');
  };
}
