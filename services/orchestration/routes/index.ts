import type { Authenticate, Routes } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import type { Stacks } from '../stacks.ts';

export function createRoutes(_desk: Desk, _stacks: Stacks, _authenticate: Authenticate): Routes {
  return () => {};
}
