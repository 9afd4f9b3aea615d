import type { ErrorRow } from './index.ts';

export const cliErrors = {
  'no-cloud': {
    status: 400,
    sentence:
      'No undercloud is configured: there are no OS_* variables, and no clouds.yaml at {places} has the cloud “{cloud}”.',
    remedy: 'Run `undercloud bootstrap`, or copy what `undercloud clouds export` writes to this machine.',
  },
  'cloud-unreachable': {
    status: 503,
    sentence: 'The undercloud at {url} does not answer: {reason}.',
    remedy: 'See `undercloud status` on its machine, and the network between.',
  },
  'cloud-refused': { status: 400, sentence: '{message}', remedy: '' },
  usage: { status: 400, sentence: '{reason}', remedy: 'See --help.' },
  'file-unreadable': {
    status: 400,
    sentence: 'The file {file} cannot be read: {reason}.',
    remedy: 'Give the path of a readable file.',
  },
} as const satisfies Record<string, ErrorRow>;
