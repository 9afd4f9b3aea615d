import type { ErrorRow } from './index.ts';

export const bootErrors = {
  'socket-refused': {
    status: 500,
    sentence: 'The socket for {what} cannot be opened on {interface}: {reason}.',
    remedy: '{remedy}',
  },
  'namespace-refused': {
    status: 500,
    sentence: 'The network namespace {path} cannot be entered: {reason}.',
    remedy: 'It needs root and a lab that is up (`undercloud lab status`).',
  },
  'provisioning-not-set-up': {
    status: 500,
    sentence: 'The boot service on {interface} has no provisioning network in the database.',
    remedy: 'Run `undercloud bootstrap` again; it makes the network before it starts the services.',
  },
  'boot-token-unknown': {
    status: 404,
    sentence: 'No machine boots with this token: {reason}.',
    remedy: 'Power-cycle the node; each boot gets a token of its own.',
  },
  'boot-file-missing': {
    status: 404,
    sentence: 'There is no boot file “{file}”.',
    remedy: '{remedy}',
  },
} as const satisfies Record<string, ErrorRow>;
