/** What the store's files share. */
import type { Database, Tx } from '../../core/database/index.ts';

export type Where = Database | Tx;
