/**
 * A deploy can demand that its image has passed `undercloud image test --record`, which leaves `test_result` among the image's
 * properties. A server asks by the scheduler hint `tested_image=true`, a flavor by the extra spec `undercloud:tested_image=true`;
 * the hint counts.
 */
import { fault } from '../core/errors/index.ts';

const hint = 'tested_image';
const spec = 'undercloud:tested_image';

export interface TestAsked {
  readonly name: string;
  readonly hints: Readonly<Record<string, string>>;
  readonly specs: Readonly<Record<string, string>>;
  readonly image: {
    readonly id: string;
    readonly name: string | null;
    readonly properties?: Readonly<Record<string, string>>;
  };
}

/** @throws Fault `image-not-tested` where a test is demanded and the image has none, or failed it */
export function demandTest({ name, hints, specs, image }: TestAsked): void {
  const asked = hints[hint] ?? specs[spec];
  if (asked === undefined || /^(false|no|0)$/i.test(asked)) return;
  const result = image.properties?.test_result;
  if (result === 'passed') return;
  const where = hints[hint] === undefined ? `flavor’s extra spec ${spec}` : `hint ${hint}`;
  const state = result === undefined ? 'has not been tested' : `${String(result)} its test`;
  throw fault('image-not-tested', { name, where, image: image.name ?? image.id, state });
}
