import type { ErrorRow } from './index.ts';

export const orchestrationErrors = {} as const satisfies Record<string, ErrorRow>;
