import type { ErrorRow } from './index.ts';

export const networkErrors = {} as const satisfies Record<string, ErrorRow>;
