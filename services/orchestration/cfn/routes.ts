import type { Routes } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';

export function createCfnRoutes(_desk: Desk): Routes {
  return () => {};
}
