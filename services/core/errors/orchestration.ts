import type { ErrorRow } from './index.ts';

export const orchestrationErrors = {
  'stack-not-found': { status: 404, sentence: 'The Stack ({stack}) could not be found.', remedy: '' },
  'stack-exists': { status: 409, sentence: 'The Stack ({stack}) already exists.', remedy: '' },
  'stack-nested': {
    status: 400,
    sentence: 'The stack {stack} belongs to the resource {resource} of another stack and is changed with that.',
    remedy: 'Change the outer stack.',
  },
  'stack-action-running': {
    status: 409,
    sentence: 'Stack {stack} already has an action ({action}) in progress.',
    remedy: 'Wait for its end, or cancel it.',
  },
  'stack-not-running': {
    status: 400,
    sentence: 'Cancelling {what} when stack is {state} is not supported.',
    remedy: '',
  },
  'stack-name-invalid': {
    status: 400,
    sentence:
      'Invalid stack name {name} must contain only alphanumeric or "_-." characters, must start with alpha and must be 255 characters or less.',
    remedy: '',
  },
  /** `place` is `file:line:column: ` where the text is known; `kind` is Heat's class. */
  'template-invalid': { status: 400, sentence: '{place}{message}', remedy: '{remedy}' },
  'template-too-costly': {
    status: 400,
    sentence: 'The template cannot be read: {reason}.',
    remedy: 'Make it smaller, or split it into several stacks.',
  },
  'plan-unreadable': {
    status: 400,
    sentence: 'That is not a plan: its format is not {format}.',
    remedy: 'Make one with `overcloud plan FILE --output PLAN`.',
  },
  'plan-tampered': {
    status: 400,
    sentence: 'The plan is not carried out: {what}.',
    remedy: 'Make it anew with `overcloud plan FILE --output PLAN`, and hand it over as it is.',
  },
  'plan-stale': {
    status: 409,
    sentence: 'The plan for the stack {stack} is stale: {reason}.',
    remedy: 'Make it anew, and look at what it says now.',
  },
  'plan-refused': {
    status: 400,
    sentence: 'The policy refuses this change of the stack {stack}: {violations}',
    remedy: 'Nothing was begun. Change the template, or the policy.',
  },
  'template-wish-unmet': {
    status: 400,
    sentence: '{place}The resource {resource} of stack {stack} cannot be made: {reason}',
    remedy: '{remedy}',
  },
  'resource-failed': {
    status: 500,
    sentence: 'Resource {action} failed: {path}: {reason}{place}',
    remedy: '{remedy}',
  },
  'resource-overdue': {
    status: 500,
    sentence: '{action} of {resource} took longer than its {minutes} minutes; it still waited for {waiting}.',
    remedy: '{remedy}',
  },
  'resource-call-overdue': {
    status: 500,
    sentence: '{action} of {resource}: a call to the service behind it did not come back within {minutes} minutes.',
    remedy: 'See whether that service answers, then try again.',
  },
  'resource-action-restricted': {
    status: 400,
    sentence: '{action} is restricted for resource {resource}.',
    remedy: 'An environment of the stack says so under resource_registry, resources, restricted_actions.',
  },
  'resource-unhealthy': {
    status: 500,
    sentence: '{resource} is not well after its batch, and the next batch is not begun: {reason}',
    remedy: '{remedy}',
  },
  'resource-not-adopted': {
    status: 400,
    sentence: 'Resource ID was not provided for {resource}.',
    remedy: 'Every resource of an adopted stack has to be in the data that is handed over.',
  },
  'stack-suspended': {
    status: 400,
    sentence: 'Updating a stack when it is suspended is not supported.',
    remedy: 'Resume it first.',
  },
  'snapshot-not-found': {
    status: 404,
    sentence: 'The Snapshot ({snapshot}) for Stack ({stack}) could not be found.',
    remedy: '',
  },
  'snapshot-unfinished': {
    status: 400,
    sentence: 'The snapshot {snapshot} of {stack} is {status}: there is nothing to restore.',
    remedy: 'Take another one.',
  },
  'hook-unknown': { status: 400, sentence: 'Invalid hook type "{hook}" for {resource}', remedy: '' },
  'hook-not-set': { status: 400, sentence: 'The "{hook}" hook is not defined on {resource}', remedy: '' },
  'resource-not-found': {
    status: 404,
    sentence: 'The Resource ({resource}) could not be found in Stack {stack}.',
    remedy: '',
  },
  'resource-type-not-found': { status: 404, sentence: 'The Resource Type ({type}) could not be found.', remedy: '' },
  'resource-type-parsed-only': {
    status: 400,
    sentence: 'The type {type} is understood but not made by this undercloud: {why}.',
    remedy: 'Map it to OS::Heat::None in an environment’s resource_registry, or leave the resource out.',
  },
  'signal-unsupported': { status: 400, sentence: 'signal is not supported for resource.', remedy: '' },
  'signal-invalid': { status: 400, sentence: 'The signal to {resource} cannot be used: {reason}', remedy: '' },
  'test-resource-failed': { status: 500, sentence: 'Test Resource failed {resource}', remedy: '' },
  'wait-condition-failed': {
    status: 500,
    sentence: 'The wait condition {resource} was told of a failure: {reason}',
    remedy: 'See the log on the machine that sent it.',
  },
  'wait-condition-timeout': {
    status: 500,
    sentence: 'WaitConditionTimeout: {received} of {count} received',
    remedy: 'Nothing signalled within {seconds} s: see whether the machine reached its address and ran its script.',
  },
  'deployment-failed': {
    status: 500,
    sentence: 'Deployment to server failed: deploy_status_code: {code}: {stderr}',
    remedy: 'The whole output is in `openstack software deployment output show {deployment} --all`.',
  },
  'server-failed': {
    status: 500,
    sentence: 'The server {server} went to status {status}: {reason}',
    remedy: 'See `openstack server show {server}`.',
  },
  'deletion-stuck': {
    status: 500,
    sentence: 'Resources could not be deleted: {reasons}',
    remedy: 'Delete the stack again once that is cured.',
  },
  'output-not-found': { status: 404, sentence: 'Specified output key {key} not found.', remedy: '' },
  'deployment-input-missing': {
    status: 400,
    sentence: 'The deployment {resource} is to have all its inputs, and has no value for {inputs}.',
    remedy: 'Give them in `input_values`, or set `input_values_validate: LAX`.',
  },
  'container-not-empty': {
    status: 409,
    sentence: 'The container {container} has {count} object(s) in it.',
    remedy: 'Delete them first, or set PurgeOnDelete where a stack made it.',
  },
  'object-quota': {
    status: 413,
    sentence: 'The object is not kept: {what}.',
    remedy: 'Keep large things as images, and delete what is not needed.',
  },
  'object-etag': {
    status: 422,
    sentence: 'The object {object} came as {etag}, not as its ETag {given} says.',
    remedy: 'Send it again.',
  },
  'temp-url-refused': {
    status: 401,
    sentence: 'Unauthorized: Temp URL invalid.',
    remedy: 'It is good for one resource and one verb; read it again from the stack.',
  },
  'transport-not-served': {
    status: 400,
    sentence: 'The resource {resource} is to be reached by {transport}, and this undercloud has no Zaqar.',
    remedy: 'Take CFN_SIGNAL, HEAT_SIGNAL or TEMP_URL_SIGNAL, and POLL_SERVER_CFN, POLL_SERVER_HEAT or POLL_TEMP_URL.',
  },
  'config-not-found': { status: 404, sentence: 'Software config with id {id} not found', remedy: '' },
  'deployment-not-found': { status: 404, sentence: 'Deployment with id {id} not found', remedy: '' },
  'event-not-found': { status: 404, sentence: 'No event {id} found', remedy: '' },
  'action-unsupported': {
    status: 400,
    sentence: '{action} is not something that this undercloud does to a stack.',
    remedy: '',
  },
  'cfn-denied': { status: 403, sentence: 'User is not authorized to perform action', remedy: '' },
  'cfn-invalid': { status: 400, sentence: '{reason}', remedy: '' },
} as const satisfies Record<string, ErrorRow>;
