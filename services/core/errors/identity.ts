import type { ErrorRow } from './index.ts';

export const identityErrors = {} as const satisfies Record<string, ErrorRow>;
