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
  'discovery-refused': {
    status: 403,
    sentence: 'The report of a discovered machine was refused: {reason}.',
    remedy: 'Reset the machine, so that it boots into discovery anew.',
  },
  'candidate-not-found': {
    status: 404,
    sentence: 'No single candidate is meant by “{candidate}”: {count} fit.',
    remedy: 'See `undercloud node discovered`; name one by its id, its MAC or the address of its BMC.',
  },
  'candidate-incomplete': {
    status: 409,
    sentence: 'The candidate {candidate} cannot be accepted: {what} is missing.',
    remedy: '{remedy}',
  },
  'bmc-scan-refused': {
    status: 403,
    sentence: 'The network {cidr} is not scanned for BMCs: {reason}.',
    remedy: '{remedy}',
  },
  'capture-refused': {
    status: 409,
    sentence: 'Nothing can be captured: {reason}.',
    remedy: 'Try again when a capture has ended, or start the undercloud anew (`undercloud stop`, `undercloud start`).',
  },
} as const satisfies Record<string, ErrorRow>;
