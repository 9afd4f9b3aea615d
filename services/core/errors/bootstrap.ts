import type { ErrorRow } from './index.ts';

export const bootstrapErrors = {
  'bundle-refused': {
    status: 400,
    sentence: 'The bundle {file} is refused: {reason}.',
    remedy: 'Copy it again from where it was made; `undercloud bundle verify` checks it.',
  },
  'bundle-untrusted': {
    status: 403,
    sentence: 'The bundle {file} is signed by {signer}, and {trusted} is trusted here.',
    remedy:
      'Compare the fingerprint with what `undercloud bundle create` said; if it is the same, give it with `--trust {signer}`.',
  },
  'bundle-key': {
    status: 400,
    sentence: '{path} is no Ed25519 key in PEM: {reason}',
    remedy: 'Give --signing-key or --trust another file; `openssl genpkey -algorithm ed25519` makes a key.',
  },
  'bundle-not-made': {
    status: 500,
    sentence: 'The bundle {file} was not made: {reason}',
    remedy: 'Nothing of it was left behind; mend that and make it again.',
  },
  'bundle-program-there': {
    status: 409,
    sentence: 'There is something in {directory}, where the program of the bundle would go.',
    remedy: 'Give --program another directory, or leave the program out: `--parts boot,images,packages,debian`.',
  },
  'bootstrap-step': {
    status: 500,
    sentence: 'Bootstrap could not {step}: {reason}',
    remedy: 'Mend that and run `undercloud bootstrap` again; it goes on where it stopped.',
  },
  'state-unreachable': {
    status: 500,
    sentence:
      'The service user {user} cannot reach the state directory {state}: {parent} has mode {mode}, which lets it not pass.',
    remedy: 'Run `chmod o+x {parent}`, or choose another place with --state.',
  },
  'program-unreachable': {
    status: 500,
    sentence:
      'The service user {user} cannot reach this program in {program}: {parent} has mode {mode}, and a bind mount past it failed: {reason}',
    remedy: 'Run `chmod o+x {parent}`, or clone to another place (/opt).',
  },
  'program-unreadable': {
    status: 500,
    sentence: 'The service user {user} cannot read this program in {program}: its files are for their owner alone.',
    remedy: 'Run `chmod -R o+rX {program}`.',
  },
  'not-root': {
    status: 403,
    sentence: '`undercloud {command}` needs root: it {why}.',
    remedy: 'Run it with sudo.',
  },
  'not-bootstrapped': {
    status: 404,
    sentence: 'There is no undercloud in {state}.',
    remedy: 'Make one with `undercloud bootstrap --state {state}`.',
  },
  'machine-unfit': {
    status: 500,
    sentence: 'This machine is not fit for an undercloud yet: {faults}',
    remedy: '`undercloud doctor` lists each fault with its remedy.',
  },
  'database-major': {
    status: 500,
    sentence: 'The data directory {directory} belongs to PostgreSQL {found}, and this machine has {installed}.',
    remedy: 'Install postgresql-{found} beside it, or move the data with `pg_upgrade`.',
  },
  'service-not-up': {
    status: 504,
    sentence: '{service} did not come up within {seconds} s; the last it said was: {last}',
    remedy: 'Its log is {log}.',
  },
  'service-not-stopped': {
    status: 504,
    sentence: 'The supervisor (process {pid}) did not end within {seconds} s; the last it said was: {last}',
    remedy: 'Its log is {log}. `kill -9 {pid}` and `undercloud stop` once more end it by force.',
  },
  'already-running': {
    status: 409,
    sentence: 'An undercloud is already running on {state} (process {pid}).',
    remedy: 'Stop it with `undercloud stop --state {state}`.',
  },
} as const satisfies Record<string, ErrorRow>;
