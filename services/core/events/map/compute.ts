export interface ComputeEvents {
  'server.created': { name: string; image: string; flavor: string };
  /** `status` with its `task_state`, as Nova shows them. */
  'server.status': { from: string; to: string; task: string | null; node: string | null };
  'server.deleted': { name: string; node: string | null };
  /** The system asked the metadata service: the first sign of life of a deployed machine. */
  'server.metadata': { path: string; address: string; status: number };
}
