import type { ErrorRow } from './index.ts';

export const coreErrors = {
  internal: {
    status: 500,
    sentence: 'The undercloud met an unexpected error: {text}',
    remedy: 'This is a bug; the log of `undercloud serve` has the stack trace under the request id.',
  },
  'bad-request': { status: 400, sentence: '{reason}', remedy: '' },
  'not-found': { status: 404, sentence: '{what} could not be found.', remedy: '' },
  unauthorized: {
    status: 401,
    sentence: 'The request you have made requires authentication.',
    remedy: 'Ask for a new token at /identity/v3/auth/tokens.',
  },
  forbidden: {
    status: 403,
    sentence: 'You are not authorized to perform the requested action: {action}.',
    remedy: 'It needs one of the roles {roles}.',
  },
  'database-unreachable': {
    status: 503,
    sentence: 'The database does not answer: {text}',
    remedy: 'See `undercloud status`; work goes on by itself when it is back.',
  },
  'migration-changed': {
    status: 500,
    sentence: 'Migration {file} was applied with another text than this release carries.',
    remedy: 'Run the release that this state directory was made with, or restore a backup.',
  },
  'migration-unknown': {
    status: 500,
    sentence: 'The database has migration {file}, which this release does not know.',
    remedy: 'This program is older than the database: run the newer release.',
  },
  'secret-unreadable': {
    status: 500,
    sentence: 'The secret of {owner} cannot be decrypted with this undercloud’s key.',
    remedy: 'Restore keys/secrets.key from the backup that belongs to this database.',
  },
  'subject-busy': {
    status: 409,
    sentence:
      '{subject} is locked by the operation {operation}, which is at the step “{step}” and waits for {waiting}.',
    remedy: 'Try again when it has ended, or cancel it.',
  },
  'operation-not-found': { status: 404, sentence: 'Operation {id} could not be found.', remedy: '' },
  'operation-unknown': {
    status: 500,
    sentence: 'Operation {id} is of kind {kind} version {version}, step “{step}”, which this release does not have.',
    remedy: 'Finish it with the release that started it.',
  },
  'step-deadline': {
    status: 504,
    sentence: '{subject}: the step “{step}” did not end within {seconds} s; it was waiting for {waiting}.',
    remedy: '{remedy}',
  },
  'operation-cancelled': {
    status: 409,
    sentence: '{subject}: the operation {operation} was cancelled at “{step}”.',
    remedy: '',
  },
  'lease-lost': {
    status: 409,
    sentence: '{subject} is now worked on by another process; this one stopped at the step “{step}”.',
    remedy: 'Nothing needs doing: the other process goes on from the last finished step.',
  },
} as const satisfies Record<string, ErrorRow>;
