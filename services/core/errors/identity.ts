import type { ErrorRow } from './index.ts';

export const identityErrors = {
  'too-many-logins': {
    status: 429,
    sentence: '{waiting} log-ins are already waiting for their password check.',
    remedy: 'Try again in a few seconds, or keep using the token you have.',
  },
  'identity-not-found': { status: 404, sentence: 'Could not find {what}: {id}.', remedy: '' },
  'identity-conflict': {
    status: 409,
    sentence: 'Conflict occurred attempting to store {what} - Duplicate entry found with name {name}.',
    remedy: '',
  },
  'scope-refused': {
    status: 401,
    sentence: 'The user {user} has no role on the project {project}.',
    remedy: 'Grant one with `openstack role add`, or ask for a token of another project.',
  },
} as const satisfies Record<string, ErrorRow>;
