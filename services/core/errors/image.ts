import type { ErrorRow } from './index.ts';

export const imageErrors = {} as const satisfies Record<string, ErrorRow>;
