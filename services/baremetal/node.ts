/** A node as the rest of the house sees it: rows of baremetal.nodes with secrets left out. */
import type { Json } from '../core/operations/index.ts';
import type { PowerState } from '../power/index.ts';
import type { ProvisionState } from './states.ts';

export type JsonObject = { readonly [key: string]: Json | undefined };

/** The interfaces that a node may name, as Ironic calls them. */
export type InterfaceName =
  | 'bios'
  | 'boot'
  | 'console'
  | 'deploy'
  | 'firmware'
  | 'inspect'
  | 'management'
  | 'network'
  | 'power'
  | 'raid'
  | 'rescue'
  | 'storage'
  | 'vendor';

/** What the machine is to boot when it asks. */
export type Boot = 'agent' | 'disk' | 'none';

export interface Node {
  readonly id: number;
  readonly uuid: string;
  readonly name: string | null;
  readonly driver: string;
  /** Secrets are shown as `******`. */
  readonly driverInfo: JsonObject;
  readonly driverInternalInfo: JsonObject;
  readonly properties: JsonObject;
  readonly extra: JsonObject;
  readonly instanceInfo: JsonObject;
  /** The server that holds the node. */
  readonly instanceUuid: string | null;
  readonly provisionState: ProvisionState;
  readonly targetProvisionState: ProvisionState | null;
  readonly provisionUpdatedAt: Date | null;
  readonly powerState: PowerState | null;
  readonly targetPowerState: 'power on' | 'power off' | 'rebooting' | 'soft power off' | 'soft rebooting' | null;
  readonly lastError: string | null;
  readonly maintenance: boolean;
  readonly maintenanceReason: string | null;
  readonly fault: string | null;
  readonly resourceClass: string | null;
  readonly owner: string | null;
  readonly lessee: string | null;
  readonly description: string | null;
  readonly conductorGroup: string;
  readonly shard: string | null;
  readonly parentNode: string | null;
  readonly chassisUuid: string | null;
  readonly allocationUuid: string | null;
  readonly automatedClean: boolean | null;
  readonly protected: boolean;
  readonly protectedReason: string | null;
  readonly retired: boolean;
  readonly retiredReason: string | null;
  readonly disablePowerOff: boolean;
  readonly networkData: JsonObject;
  readonly bootMode: string | null;
  readonly secureBoot: boolean | null;
  readonly interfaces: Readonly<Partial<Record<InterfaceName, string>>>;
  readonly raidConfig: JsonObject;
  readonly targetRaidConfig: JsonObject;
  readonly cleanStep: JsonObject;
  readonly deployStep: JsonObject;
  readonly inspectionStartedAt: Date | null;
  readonly inspectionFinishedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date | null;
  /** Ours, not in Ironic's API: what it boots now and which power cycle it is in. */
  readonly boot: Boot;
  readonly bootReason: string;
  readonly powerCycle: number;
  /** An image was written to its disk and not erased since. */
  readonly used: boolean;
}

export interface Port {
  readonly id: number;
  readonly uuid: string;
  readonly nodeUuid: string;
  /** Lower case, colons. */
  readonly address: string;
  readonly name: string | null;
  readonly extra: JsonObject;
  readonly internalInfo: JsonObject;
  readonly localLinkConnection: JsonObject;
  readonly physicalNetwork: string | null;
  readonly pxeEnabled: boolean;
  readonly isSmartnic: boolean;
  readonly createdAt: Date;
  readonly updatedAt: Date | null;
}
