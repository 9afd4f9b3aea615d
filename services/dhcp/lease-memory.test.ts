import { describe, expect, it } from 'vitest';
import { leaseStoreConformance } from './lease.conformance.ts';
import { MemoryLeaseStore } from './lease-memory.ts';

leaseStoreConformance('memory', { describe, it, expect }, async () => ({ store: new MemoryLeaseStore() }));
