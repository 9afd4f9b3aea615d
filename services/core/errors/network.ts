import type { ErrorRow } from './index.ts';

export const networkErrors = {
  'network-not-found': { status: 404, sentence: 'Network {id} could not be found.', remedy: '' },
  'subnet-not-found': { status: 404, sentence: 'Subnet {id} could not be found.', remedy: '' },
  'network-port-not-found': { status: 404, sentence: 'Port {id} could not be found.', remedy: '' },
  'security-group-not-found': { status: 404, sentence: 'Security group {id} does not exist.', remedy: '' },
  'security-group-rule-not-found': { status: 404, sentence: 'Security group rule {id} does not exist.', remedy: '' },
  'segment-not-found': { status: 404, sentence: 'Segment {id} could not be found.', remedy: '' },
  'trunk-not-found': { status: 404, sentence: 'Trunk {id} could not be found.', remedy: '' },
  'security-group-in-use': {
    status: 409,
    sentence: 'Security Group {id} is in use by {count} port(s), {port} among them.',
    remedy: 'Take it from the ports first.',
  },
  'security-group-default': {
    status: 409,
    sentence: 'The default security group of project {project} cannot be {what}.',
    remedy: 'Make a group of another name.',
  },
  'security-group-rule-exists': {
    status: 409,
    sentence: 'Security group rule already exists in group {id}: {rule}.',
    remedy: '',
  },
  'port-in-trunk': {
    status: 409,
    sentence: 'Unable to complete operation on port {id}: it is the {as} of trunk {trunk}.',
    remedy: 'Delete the trunk, or take the port from it.',
  },
  'vlan-in-trunk': {
    status: 409,
    sentence: 'Trunk {trunk} already carries a subport with the VLAN {vlan}.',
    remedy: 'Give another segmentation_id.',
  },
  'network-ambiguous': {
    status: 409,
    sentence: 'More than one {kind} is named “{name}”.',
    remedy: 'Give its id instead.',
  },
  'network-invalid': { status: 400, sentence: 'Invalid input for {field}. Reason: {reason}.', remedy: '' },
  'network-in-use': {
    status: 409,
    sentence: 'Unable to complete operation on network {id}: {count} port(s) are still on it, {port} among them.',
    remedy: 'Delete the ports first.',
  },
  'subnet-in-use': {
    status: 409,
    sentence: 'Unable to complete operation on subnet {id}: {count} port(s) have addresses of it, {port} among them.',
    remedy: 'Delete the ports first.',
  },
  'address-in-use': {
    status: 409,
    sentence: 'IP address {address} already allocated in subnet {subnet}; port {port} has it.',
    remedy: 'Choose another address or delete that port.',
  },
  'mac-in-use': {
    status: 409,
    sentence: 'Unable to complete operation for network {network}. The mac address {mac} is in use by port {port}.',
    remedy: '',
  },
  'pool-exhausted': {
    status: 409,
    sentence: 'No more IP addresses available on network {network}: all {size} addresses of its pools are given out.',
    remedy: 'Widen an allocation pool or delete ports that nobody uses.',
  },
  'wire-in-use': {
    status: 409,
    sentence: 'Physical network {wire} already carries network {network}{tag}.',
    remedy: 'Use that one, or give a VLAN (provider:segmentation_id) of its own.',
  },
  'provisioning-changed': {
    status: 409,
    sentence:
      'The provisioning network {name} is {is} and {count} port(s) have addresses of it; it cannot become {wanted}.',
    remedy: 'Delete those ports, or keep the old addresses in the configuration.',
  },
  'provisioning-missing': {
    status: 503,
    sentence: 'There is no provisioning network yet, so no address can be kept for {mac}.',
    remedy: 'Run `undercloud bootstrap` with --provisioning-interface or --lab.',
  },
} as const satisfies Record<string, ErrorRow>;
