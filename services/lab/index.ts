/** The lab's front door: virtual bare metal with BMCs in a network namespace. The story of it is in `machines.ts` and `machine.ts`. */
export {
  bootsTo,
  cheapRefusal,
  chooseAcceleration,
  type ProbeGuest,
  probeGuests,
  type Verdict,
} from './acceleration.ts';
export { type BmcFaults, changedFaults, faultRows, faultsOfSeed, faultWords } from './bmc-faults.ts';
export { type ConsoleOptions, labConsole } from './console.ts';
export type { BmcKind, Firmware, LabDescription, LabNode, NetworkBoot, NodeShape } from './description.ts';
export { readDescription } from './description.ts';
export { type LabDownOptions, labDown } from './down.ts';
export { labCommand, labExec } from './exec.ts';
export { labFault } from './fault.ts';
export { labAddresses, labLayout, labNetns, mostNodes, provisioningInterface } from './layout.ts';
export type { Acceleration, BootDevice } from './qemu.ts';
export { machineSpeed } from './speed.ts';
export { consoleText, type LabNodeStatus, type LabStatus, labStatus } from './status.ts';
export { labPackages } from './tools.ts';
export { type Lab, type LabUpOptions, labNetworkUp, labUp } from './up.ts';
export {
  createVirtualBmc,
  type ServeOptions,
  serveVirtualBmc,
  serveVirtualBmcs,
  type VirtualBmc,
  type VirtualBmcOptions,
  type VirtualBmcs,
  virtualAddresses,
} from './virtual-bmc.ts';
export type { BootTruth, VirtualBoot } from './virtual-bmc-chassis.ts';
export type { VirtualFaults } from './virtual-bmc-faults.ts';
export type { VirtualMachine, VirtualModel } from './virtual-bmc-machine.ts';
export { type ServeRedfishOptions, serveVirtualRedfish, type VirtualRedfish } from './virtual-redfish.ts';
export type { VirtualRedfishMachine, VirtualRedfishOptions } from './virtual-redfish-machine.ts';
