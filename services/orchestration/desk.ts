/** What the rooms of orchestration share. */
import type { Baremetal } from '../baremetal/index.ts';
import type { Compute } from '../compute/index.ts';
import type { House } from '../core/house.ts';
import type { Identity } from '../identity/index.ts';
import type { Images } from '../image/index.ts';
import type { Network } from '../network/index.ts';
import type { Probe } from './engine/session.ts';
import type { TypeCatalog } from './language/index.ts';
import type { Objects } from './objects/objects.ts';
import type { Reader } from './reading/pool.ts';
import type { SignalTarget } from './signals.ts';
import type { Bell } from './software/bell.ts';

export interface OrchestrationDeps {
  readonly baremetal: Pick<Baremetal, 'nodePorts'>;
  readonly compute: Pick<
    Compute,
    | 'createServer'
    | 'rebuildServer'
    | 'deleteServer'
    | 'findServer'
    | 'addresses'
    | 'activity'
    | 'flavor'
    | 'flavors'
    | 'keypairs'
    | 'serverGroups'
    | 'setPower'
  >;
  readonly network: Pick<
    Network,
    | 'findNetwork'
    | 'findSubnet'
    | 'findPort'
    | 'createNetwork'
    | 'updateNetwork'
    | 'deleteNetwork'
    | 'createSubnet'
    | 'updateSubnet'
    | 'deleteSubnet'
    | 'createPort'
    | 'updatePort'
    | 'deletePort'
    | 'provisioning'
    | 'securityGroups'
    | 'segments'
    | 'trunks'
  >;
  readonly identity: Pick<Identity, 'createStackUser' | 'deleteStackUser' | 'issue' | 'accounts' | 'signer'>;
  readonly images: Pick<Images, 'find' | 'create' | 'update' | 'delete' | 'import'>;
  readonly region: string;
  /** What links say instead of the Host header. */
  readonly publicUrl?: string;
  /** The addresses that nodes reach: `https://192.0.2.1:8443/cfn/v1` and the like, without a slash at the end. */
  readonly cfnUrl: string;
  /** `…/object/v1`: temporary URLs. */
  readonly objectUrl: string;
  /** `…/identity/v3`. */
  readonly authUrl: string;
  /** `…/orchestration/v1`, the project left out. */
  readonly heatUrl: string;
  /** Other threads to read templates than the process's own. */
  readonly reader?: Reader;
  /** Where tests make the process die. */
  readonly probe?: Probe;
}

export interface Desk extends OrchestrationDeps {
  readonly house: House;
  readonly types: TypeCatalog;
  readonly reader: Reader;
  readonly objects: Objects;
  /** Rung when a server's agent has something new to read. */
  readonly bell: Bell;
  /** Moves the group of a scaling policy that was signalled; says what came of it. */
  readonly scale: (target: SignalTarget) => Promise<string>;
}
