import type { ErrorRow } from './index.ts';

export const bootErrors = {} as const satisfies Record<string, ErrorRow>;
