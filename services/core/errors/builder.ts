import type { ErrorRow } from './index.ts';

export const builderErrors = {} as const satisfies Record<string, ErrorRow>;
