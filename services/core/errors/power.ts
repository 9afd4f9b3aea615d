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
    remedy:
      'Check its address, its network cable, that IPMI over LAN (or Redfish) is enabled, and UDP port 623 (or TCP port 443) on the way.',
  },
  'bmc-credentials': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} refuses the user {user}: {text}.',
    remedy:
      'Correct the user name and password, and see that the user may use IPMI over LAN (or Redfish) as administrator.',
  },
  'bmc-user': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} lets no user {user} in: {text}.',
    remedy:
      'See in the BMC that the user is there, enabled, allowed to use IPMI over LAN, and not locked after wrong passwords.',
  },
  'bmc-privilege': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} does not let the user {user} do this: {text}.',
    remedy:
      'Make the user administrator on the BMC (with IPMI, on its LAN channel), or name the level that it has (ipmi_priv_level).',
  },
  'bmc-key': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} takes the password of {user} and not the key K_g: {text}.',
    remedy: 'Set the BMC’s own key as ipmi_hex_kg_key, or clear it where the BMC has none.',
  },
  'bmc-suites': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} agrees to none of the cipher suites that it was offered: {text}.',
    remedy:
      'Update the BMC, or name a suite that it has (ipmi_cipher_suite); suite 0, which proves nothing, is never spoken.',
  },
  'bmc-sessions-full': {
    status: 503,
    sentence: 'The BMC {bmc} of node {node} has no free session: {text}.',
    remedy: 'Close other consoles and tools on it; idle sessions are dropped by most BMCs after a minute.',
  },
  'bmc-console-in-use': {
    status: 409,
    sentence: 'The console of node {node} is held by another session at the BMC {bmc}: {text}.',
    remedy: 'Close the program that holds it (`ipmitool … sol deactivate` ends it), or take it over.',
  },
  'bmc-console-none': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} offers no serial console over IPMI: {ways}.',
    remedy:
      'Enable IPMI and its serial over LAN on the BMC and see that Redfish’s SerialConsole names it; or manage the node by the driver ipmi.',
  },
  'bmc-foreign-session': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} answers with another’s session: {text}.',
    remedy: 'See that no two BMCs share this address; if there is only one, restart it.',
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
  'bmc-access-invalid': {
    status: 400,
    sentence: 'The BMC of {node} cannot be reached: {field} is “{value}”: {text}.',
    remedy: 'Correct it with `baremetal node set {node} --driver-info {field}=…`.',
  },
  'bmc-certificate': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} is not trusted: {text}.',
    remedy:
      'Name the file of the CA that signed it in redfish_verify_ca, or set redfish_verify_ca to False to trust any certificate.',
  },
  'bmc-not-redfish': {
    status: 502,
    sentence: 'What answers as the BMC {bmc} of node {node} is no Redfish service: {text}.',
    remedy: 'Check redfish_address and its port, and that Redfish is enabled on the BMC; or use the driver ipmi.',
  },
  'bmc-password-expired': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} lets the user {user} do nothing but change the password: {text}.',
    remedy: 'Change the password on the BMC, then set the new one as redfish_password.',
  },
  'bmc-system-unknown': {
    status: 400,
    sentence: 'The BMC {bmc} of node {node} cannot tell which system is meant: {text}.',
    remedy: 'Set redfish_system_id to one of: {known}.',
  },
  'bmc-action-not-allowed': {
    status: 409,
    sentence: 'The BMC {bmc} of node {node} does not allow “{command}”: {text}.',
    remedy: 'Use another power action; it allows {known}.',
  },
  'bmc-media-refused': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} did not take the virtual medium: {text}.',
    remedy: 'Check that the BMC itself can reach the URL, and that its licence has virtual media.',
  },
  'bmc-password-not-kept': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} said that it had taken the new password and does not let us in with it.',
    remedy:
      'The old one is kept, and was set again. See whether a rule of the BMC (length, kinds of characters, history) refuses it.',
  },
  'bmc-boot-device-not-kept': {
    status: 502,
    sentence: 'The BMC {bmc} of node {node} was told to boot from {wanted} and reads back {found}.',
    remedy:
      'Put the network first in the firmware’s boot order and run `undercloud bmc check {node}`, which remembers that BMCs of this kind forget; or update the BMC.',
  },
} as const satisfies Record<string, ErrorRow>;
