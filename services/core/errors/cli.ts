import type { ErrorRow } from './index.ts';

export const cliErrors = {} as const satisfies Record<string, ErrorRow>;
