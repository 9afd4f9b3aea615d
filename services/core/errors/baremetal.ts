import type { ErrorRow } from './index.ts';

export const baremetalErrors = {} as const satisfies Record<string, ErrorRow>;
