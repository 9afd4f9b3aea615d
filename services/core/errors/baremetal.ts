import type { ErrorRow } from './index.ts';

/** Sentences that stock clients and their users know are Ironic's, word for word. */
export const baremetalErrors = {
  'node-not-found': { status: 404, sentence: 'Node {node} could not be found.', remedy: '' },
  'node-exists': { status: 409, sentence: 'A node with {what} {value} already exists.', remedy: '' },
  'node-name-invalid': { status: 400, sentence: "Cannot create node with invalid name '{name}'", remedy: '' },
  'node-busy': {
    status: 409,
    sentence:
      'Node {node} is locked by host {host}, please retry after the current operation is completed. It is in the operation {operation} at the step “{step}”, which waits for {waiting}.',
    remedy: '',
  },
  'node-verb-refused': {
    status: 400,
    sentence: 'The requested action "{verb}" can not be performed on node "{node}" while it is in state "{state}".',
    remedy: '',
  },
  'node-event-refused': {
    status: 409,
    sentence: 'Node {node} is in state “{state}”, where “{event}” has no place.',
    remedy: 'Look at the node’s timeline: another operation moved it.',
  },
  'node-state-forbids': {
    status: 409,
    sentence: 'Node {node} cannot be {action} while it is in state “{state}”.',
    remedy: '{remedy}',
  },
  'node-associated': {
    status: 409,
    sentence: 'Node {node} is associated with instance {instance}.',
    remedy: '',
  },
  'node-protected': {
    status: 403,
    sentence: 'Node {node} is protected and can not be undeployed, rebuilt or deleted.',
    remedy: '',
  },
  'node-maintenance': {
    status: 400,
    sentence: "The {operation} operation can't be performed on node {node} because it's in maintenance mode.",
    remedy: '',
  },
  'node-unsupported': {
    status: 400,
    sentence: 'Driver {driver} does not support {extension} (disabled or not implemented).',
    remedy: '',
  },
  'interface-unknown': {
    status: 400,
    sentence:
      "Could not find the following interface in the 'ironic.hardware.interfaces.{kind}' entrypoint: {value}. Valid interfaces are {known}.",
    remedy: '',
  },
  'port-not-found': { status: 404, sentence: 'Port {port} could not be found.', remedy: '' },
  'mac-exists': {
    status: 409,
    sentence: 'A port with MAC address {mac} already exists.',
    remedy: '',
  },
  'trait-not-found': { status: 404, sentence: "Node {node} doesn't have a trait '{trait}'", remedy: '' },
  'vif-not-attached': {
    status: 400,
    sentence: "Unable to detach VIF {vif} from node {node} because it's not attached to it.",
    remedy: '',
  },
  'vif-attached': {
    status: 409,
    sentence: 'Unable to attach VIF because VIF {vif} is already attached to Ironic Port {port}',
    remedy: '',
  },
  'vif-no-port': {
    status: 400,
    sentence: 'Unable to attach VIF {vif}, not enough free physical ports on node {node}.',
    remedy: '',
  },
  'driver-not-found': {
    status: 404,
    sentence: 'Could not find the following driver(s) or hardware type(s): {driver}.',
    remedy: '',
  },
  'driver-no-conductor': {
    status: 400,
    sentence:
      'No valid host was found. Reason: No conductor service registered which supports driver {driver} for conductor group "{group}".',
    remedy: 'Ensure the driver is valid and enabled: this release has {known}.',
  },
  'inventory-not-found': {
    status: 404,
    sentence: 'Node inventory record for node {node} could not be found.',
    remedy: '',
  },
  'api-method': { status: 405, sentence: '{method} is not understood at {path}.', remedy: '' },
  'api-version': { status: 406, sentence: '{text}', remedy: '' },
  'no-valid-host': {
    status: 409,
    sentence: 'No node can take the server {server}: {wanted}. Of {total} nodes {reasons}.',
    remedy: 'Enrol more nodes, or free one; `baremetal node list` shows their states.',
  },
  'agent-not-found': { status: 404, sentence: 'Resource could not be found.', remedy: '' },
  'agent-token': { status: 400, sentence: 'Invalid or missing agent token received.', remedy: '' },
  'agent-token-missing': { status: 400, sentence: 'Agent token is required for heartbeat processing.', remedy: '' },
  'agent-moved': {
    status: 400,
    sentence: 'Detected change in ramdisk provided "callback_url" of node {node}: it was {old} and is {new}.',
    remedy: 'Power cycle the node: one agent answers at one address for its whole life.',
  },
  'agent-vanished': {
    status: 504,
    sentence: 'The agent on node {node} has not been heard for {seconds} s while it should “{step}”: {text}',
    remedy: 'Look at the node’s console, then deploy again, or take the node back with `deleted`.',
  },
  'agent-failed': {
    status: 502,
    sentence: 'The agent on node {node} could not “{step}”: {text}',
    remedy: '{remedy}',
  },
  'deploy-invalid': {
    status: 400,
    sentence: 'Failed to validate the deploy of node {node}: {reason}',
    remedy: '{remedy}',
  },
  'console-in-use': {
    status: 409,
    sentence: 'The console of node {node} is in use: another program holds it at the BMC.',
    remedy: 'Close that program (`ipmitool … sol deactivate` ends it), or take the console with --take-over.',
  },
  'console-closed': {
    status: 503,
    sentence: 'The console of node {node} was closed while it was being opened.',
    remedy: 'Open it again.',
  },
  'console-not-recorded': {
    status: 404,
    sentence: 'The console of node {node} is not recorded: `console.record` in undercloud.json says never.',
    remedy: 'Set it to operations, watched or always, and restart the undercloud.',
  },
  'import-invalid': { status: 400, sentence: 'instackenv: {where}: {reason}', remedy: '{remedy}' },
} as const satisfies Record<string, ErrorRow>;
