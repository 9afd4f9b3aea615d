import type { ErrorRow } from './index.ts';

export const powerErrors = {
  'driver-unknown': {
    status: 400,
    sentence: 'The driver {driver} of {node} is not known.',
    remedy: 'Use one of {known}.',
  },
  'driver-not-there': {
    status: 400,
    sentence: 'The driver {driver} of {node} is not in this release.',
    remedy: 'Use one of {known}: nearly every BMC speaks IPMI too.',
  },
  'bmc-access-incomplete': {
    status: 400,
    sentence: 'The BMC of {node} cannot be reached: {missing} is not set.',
    remedy: 'Set it with `baremetal node set {node} --driver-info {missing}=…`.',
  },
  'bmc-unreachable': {
    status: 504,
    sentence: 'The BMC {bmc} of node {node} does not answer: {text}.',
    remedy: 'Check its address, its network cable, that IPMI over LAN is enabled, and UDP port 623 on the way.',
  },
  'bmc-credentials': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} refuses the user {user}: {text}.',
    remedy: 'Correct the user name and password, and see that the user may use IPMI over LAN as administrator.',
  },
  'bmc-refused': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} refused “{command}”: {text}.',
    remedy: 'Try again; if it stays, reset the BMC or look into its event log.',
  },
  'bmc-lacks': {
    status: 400,
    sentence: 'The driver {driver} of node {node} does not offer {what}.',
    remedy: 'Manage the node by a driver that has one, or use the BMC’s own tools.',
  },
  'bmc-boot-device-not-kept': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} was told to boot from {wanted} and reads back {found}.',
    remedy: 'Set the boot order in the firmware (network first), or update the BMC.',
  },
} as const satisfies Record<string, ErrorRow>;
