import type { ErrorRow } from './index.ts';

export const powerErrors = {} as const satisfies Record<string, ErrorRow>;
