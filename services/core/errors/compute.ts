import type { ErrorRow } from './index.ts';

export const computeErrors = {} as const satisfies Record<string, ErrorRow>;
