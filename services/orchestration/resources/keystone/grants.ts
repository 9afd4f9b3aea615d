/** Roles as a property lists them: `[{role, project}]`. A role of a whole domain means nothing to this undercloud. */
import { fault } from '../../../core/errors/index.ts';
import type { Grant } from '../../../identity/index.ts';
import type { Plain } from '../../model.ts';

export function grantsOf(type: string, value: Plain | undefined): Grant[] {
  return ((value ?? []) as { role?: string; project?: string | null; domain?: string | null }[]).map(
    ({ role, project, domain }) => {
      if (!project)
        throw fault('resource-type-parsed-only', {
          type,
          why: `the role ${role} on ${domain ? `the domain ${domain}` : 'nothing'} has no effect here; roles are given on projects`,
        });
      return { role: String(role), project };
    },
  );
}
