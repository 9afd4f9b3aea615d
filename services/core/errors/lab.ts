import type { ErrorRow } from './index.ts';

export const labErrors = {
  'lab-node-count': {
    status: 400,
    sentence: 'A lab has 1 to {most} nodes, not {nodes}: one ipmi_sim holds {most} BMCs.',
    remedy: 'Give another number with --nodes.',
  },
  'lab-pxe-needs-uefi': {
    status: 400,
    sentence: "Lab node {node} cannot boot by '{pxe}': that is UEFI's, the BIOS has no network stack of its own.",
    remedy: 'Choose --firmware uefi, or leave the network boot at ipxe-rom.',
  },
  'lab-node-shape': { status: 400, sentence: 'Lab node {node}: {field} {fault}.', remedy: 'Give another value.' },
  'lab-memory': {
    status: 400,
    sentence: '{nodes} lab nodes need {wanted} MiB of memory when all are on, and this machine has {there} MiB.',
    remedy: 'Ask for fewer nodes, or for less memory each.',
  },
  'lab-tools-missing': {
    status: 500,
    sentence: 'The lab needs {missing}, which this machine lacks.',
    remedy: 'Install with: apt-get install --no-install-recommends {packages}',
  },
  'lab-needs-root': {
    status: 403,
    sentence: 'The lab makes a network namespace and tap devices, which only root may.',
    remedy: 'Run the command as root.',
  },
  'lab-no-tun': {
    status: 500,
    sentence: 'The lab needs /dev/net/tun for its tap devices, and it is not there.',
    remedy: 'Load the module with `modprobe tun`; in a container, pass the device through.',
  },
  'lab-absent': {
    status: 404,
    sentence: 'There is no lab in {directory}.',
    remedy: 'Raise one with `undercloud lab up`.',
  },
  'lab-no-network': {
    status: 404,
    sentence: 'The lab of {directory} has no network namespace {netns}.',
    remedy: 'Raise it with `undercloud lab up`.',
  },
  'lab-description-damaged': {
    status: 500,
    sentence: "The lab's description {file} is damaged: {fault}.",
    remedy: 'Remove the lab with `undercloud lab down` and raise it again.',
  },
  'lab-no-node': {
    status: 404,
    sentence: "The lab has no node '{node}'; it has {nodes}.",
    remedy: 'Give one of these names.',
  },
  'lab-no-owner': {
    status: 503,
    sentence: "The console of {node} is not served: the owner of the lab's machines does not run.",
    remedy: 'Start it with `undercloud lab up`.',
  },
  'lab-owner-ended': {
    status: 500,
    sentence: "The owner of the lab's machines ended at its start: {words}",
    remedy: 'Its log is {log}. Run `undercloud lab up` again, or `undercloud lab down` first.',
  },
  'lab-owner-late': {
    status: 504,
    sentence: "The owner of the lab's machines does not answer '{question}' within {seconds} s.",
    remedy: 'Its log is lab/machines.log in the state directory; `undercloud lab down` and `lab up` start it anew.',
  },
  'lab-owner-refused': { status: 500, sentence: '{text}', remedy: '' },
  'lab-owned': {
    status: 409,
    sentence: 'Process {pid} already owns the machines of {directory}.',
    remedy: 'Leave it, or end it with `undercloud lab down`.',
  },
  'lab-fault': {
    status: 400,
    sentence: "The BMC of lab node {node} has no fault '{word}': {why}.",
    remedy: '`undercloud lab fault --help` lists them.',
  },
  'lab-fault-simulator': {
    status: 409,
    sentence: 'The BMC of lab node {node} is played by ipmi_sim, which cannot be made to go wrong.',
    remedy: 'Change to our own with `undercloud lab up --bmc own`: machines that run go on.',
  },
  'lab-owner-absent': {
    status: 503,
    sentence: "The owner of the lab's machines does not run.",
    remedy: 'Start it with `undercloud lab up`.',
  },
  'lab-question': {
    status: 400,
    sentence: "The owner of the lab's machines does not understand '{question}': no such node or verb.",
    remedy: 'The questions are listed in services/lab/control.ts.',
  },
  'lab-setting': {
    status: 400,
    sentence: "Lab node {node} has no {setting} '{value}'.",
    remedy: 'A lab machine boots from pxe or disk, and knows power, reset and soft power-off.',
  },
  'lab-reset-off': {
    status: 409,
    sentence: 'Lab node {node} is off and cannot be reset.',
    remedy: 'Power it on instead.',
  },
  'lab-power-on': {
    status: 500,
    sentence: 'Lab node {node} does not power on: {text}',
    remedy: "QEMU's own log is {log}.",
  },
  'lab-qemu': { status: 500, sentence: 'QEMU {fault}.', remedy: '' },
  'lab-bmc-silent': {
    status: 500,
    sentence: "The BMC of lab node {node} does not listen on {address}: ipmi_sim says '{words}'.",
    remedy: 'Its configuration is {file}; `undercloud lab up` writes it anew.',
  },
  'lab-command': {
    status: 500,
    sentence: "{step}: '{command}' failed: {fault}.",
    remedy: 'Run `undercloud lab up` again when the cause is gone; `undercloud lab down` removes what there is.',
  },
  'lab-command-empty': {
    status: 400,
    sentence: '`undercloud lab exec` was given no command.',
    remedy: 'Name one after `--`.',
  },
  'lab-process-stuck': {
    status: 500,
    sentence: 'Process {pid} ({comm}) does not end even by SIGKILL: it waits in the kernel.',
    remedy: 'Look at /proc/{pid}/stack, then run `undercloud lab down` again.',
  },
} as const satisfies Record<string, ErrorRow>;
