/** Who asks. Every front-door call takes one; a long operation keeps the context that started it, not a token. */
export interface Context {
  readonly requestId: string;
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly domainId: string | null;
  readonly roles: readonly string[];
}

/** The undercloud acting for itself (sweeps, timers, the boot path). */
export const systemContext = (requestId = 'req-system'): Context => ({
  requestId,
  userId: null,
  projectId: null,
  domainId: null,
  roles: ['admin'],
});

export const isAdmin = (context: Context): boolean => context.roles.includes('admin');

/** Keystone's default roles: `reader` looks and changes nothing. */
export const mayWrite = ({ roles }: Context): boolean => roles.includes('admin') || roles.includes('member');
