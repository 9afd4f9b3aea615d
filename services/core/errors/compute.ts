import type { ErrorRow } from './index.ts';

export const computeErrors = {
  'server-not-found': { status: 404, sentence: 'Instance {id} could not be found.', remedy: '' },
  'server-ambiguous': {
    status: 409,
    sentence: 'More than one server is named “{name}”.',
    remedy: 'Give its id instead.',
  },
  'flavor-not-found': {
    status: 400,
    sentence: 'Flavor {id} could not be found.',
    remedy: 'See `openstack flavor list`; `baremetal` takes any node of resource class baremetal.',
  },
  'flavor-exists': { status: 409, sentence: 'Flavor with name {name} already exists.', remedy: '' },
  'keypair-not-found': {
    status: 400,
    sentence: 'The key pair {name} could not be found for this user.',
    remedy: 'See `openstack keypair list`.',
  },
  'server-group-not-found': { status: 404, sentence: 'Instance group {id} could not be found.', remedy: '' },
  'server-group-invalid': {
    status: 400,
    sentence: 'Server group {name} is refused: {reason}.',
    remedy: 'Take anti-affinity, which holds for bare metal by itself, or no group.',
  },
  'keypair-exists': { status: 409, sentence: "Key pair '{name}' already exists.", remedy: '' },
  'keypair-invalid': {
    status: 400,
    sentence: 'Keypair data is invalid: {reason}',
    remedy: 'Give the text of an OpenSSH public key (`ssh-ed25519 AAAA… comment`).',
  },
  'image-not-ready': {
    status: 400,
    sentence: 'Image {id} is {status} and cannot be deployed.',
    remedy: 'Wait until it is active, or choose another.',
  },
  'image-not-tested': {
    status: 400,
    sentence: 'The {where} of the server {name} wants a tested image, and image {image} {state}.',
    remedy: 'Run `undercloud image test {image} --record`, or choose an image that has passed.',
  },
  'hand-over-unknown': {
    status: 400,
    sentence: 'The {where} of the server {name} is “{asked}”.',
    remedy: 'Say kexec (past the firmware, where image and node allow it) or reset, or leave it out.',
  },
  'no-provisioning-network': {
    status: 400,
    sentence: 'The server {name} names no network, and this undercloud has no provisioning network.',
    remedy: 'Give it a network, or bootstrap with --provisioning-interface.',
  },
  'user-data-too-large': {
    status: 400,
    sentence: 'The user data of the server {name} has {size} bytes; {most} are allowed.',
    remedy: 'Fetch what is large from the user data’s script.',
  },
  'node-without-port': {
    status: 409,
    sentence:
      'Node {node} was chosen for the server {server}, but it has {ports} port(s) and the server wants {wanted}.',
    remedy: 'Enrol the node’s other network cards as ports, or ask for fewer networks.',
  },
  'deploy-failed': {
    status: 500,
    sentence: 'Node {node} could not be deployed for the server {server}: {reason}',
    remedy: 'See `undercloud node timeline {node}`.',
  },
  'server-state-forbids': {
    status: 409,
    sentence: "Cannot '{action}' instance {id} while it is in vm_state {state}.",
    remedy: '',
  },
  'config-drive': {
    status: 500,
    sentence: 'The config drive of the server {server} could not be made: {reason}',
    remedy: 'Install the package genisoimage.',
  },
} as const satisfies Record<string, ErrorRow>;
