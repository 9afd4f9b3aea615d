import type { Api } from '../../core/http/index.ts';
import type { Rooms } from '../index.ts';
export async function agentRoutes(_api: Api, _rooms: Rooms): Promise<void> {}
