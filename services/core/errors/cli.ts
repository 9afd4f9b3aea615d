import type { ErrorRow } from './index.ts';

export const cliErrors = {
  'no-cloud': {
    status: 400,
    sentence:
      'No undercloud is configured: there are no OS_* variables, and no clouds.yaml at {places} has the cloud “{cloud}”.',
    remedy: 'Run `undercloud bootstrap`, or copy what `undercloud clouds export` writes to this machine.',
  },
  'cloud-invalid': {
    status: 400,
    sentence: '{place} is no usable description of a cloud: {reason}.',
    remedy: '`undercloud clouds export` writes one that is.',
  },
  'cloud-unreachable': {
    status: 503,
    sentence: 'The undercloud at {url} does not answer: {reason}.',
    remedy: 'See `undercloud status` on its machine, and the network between.',
  },
  /** The undercloud's own sentence, remedy included; the status is the answer's. */
  'cloud-refused': { status: 400, sentence: '{message}', remedy: '' },
  /** The same for a file that the user gave: nothing was done. */
  'input-refused': { status: 400, sentence: '{message}', remedy: '' },
  usage: { status: 400, sentence: '{reason}', remedy: 'See --help.' },
  'file-unwritable': {
    status: 400,
    sentence: 'The file {file} cannot be written: {reason}.',
    remedy: 'Name one in a directory that is there and yours.',
  },
  'file-unreadable': {
    status: 400,
    sentence: 'The file {file} cannot be read: {reason}.',
    remedy: 'Give the path of a readable file.',
  },
  'file-malformed': { status: 400, sentence: '{place}: {reason}', remedy: 'Correct the file; nothing was done.' },
  'file-referred': {
    status: 400,
    sentence: '{place}: the file {file} that is named there cannot be read: {reason}.',
    remedy: 'Paths in a template are relative to the template.',
  },
  'not-served-yet': {
    status: 501,
    sentence: 'This undercloud does not serve {what} yet.',
    remedy: '{remedy}',
  },
  'import-failed': {
    status: 500,
    sentence: '{failed} of {total} nodes could not be enrolled:\n{reasons}',
    remedy: 'Correct that and import the file again: nodes that are enrolled stay as they are.',
  },
  'node-failed': { status: 500, sentence: 'Node {node}: {reason}', remedy: '' },
  'power-unchanged': {
    status: 504,
    sentence: 'Node {node} did not reach “{target}” within {seconds} s; it is “{state}”.',
    remedy: '`undercloud node timeline {node}` shows what its BMC answered.',
  },
  'image-not-whole': {
    status: 400,
    sentence: 'The image in {directory} cannot be registered: {reason}.',
    remedy: 'Copy its whole directory, or build it again with chunks among its types.',
  },
  'build-failed': { status: 500, sentence: '{message}', remedy: '' },
  'image-built-without-chunks': {
    status: 400,
    sentence: 'Image {name} was built as {types}, and only type `chunks` can be registered.',
    remedy: 'Add `-t chunks`, or say --no-register.',
  },
  'image-not-built': {
    status: 404,
    sentence: 'There is no built image “{name}”: none of {places} holds a manifest.json.',
    remedy: 'Build it with `undercloud image build`, or give the directory that holds its manifest.',
  },
  'ambiguous-name': {
    status: 409,
    sentence: '{count} {what} are named {name}.',
    remedy: 'Give one of the ids {ids}.',
  },
  'stack-failed': {
    status: 500,
    sentence: '{action} of stack {stack} failed: {cause}',
    remedy: '{remedy}',
  },
  'stack-unsettled': {
    status: 504,
    sentence: 'Stack {stack} is still {state} after {minutes} min.',
    remedy: 'It goes on in the undercloud; `overcloud status {stack} --follow` watches it.',
  },
} as const satisfies Record<string, ErrorRow>;
