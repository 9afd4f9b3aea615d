import type { ErrorRow } from './index.ts';

export const bootstrapErrors = {} as const satisfies Record<string, ErrorRow>;
