/** Front door of baremetal: nodes, their states, the operations on them, and what a machine is to boot now. */
import type { Clock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import type { RecordedEvent } from '../core/events/index.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import type { Activity } from '../core/operations/index.ts';
import type { AgentTransport } from '../ipa/index.ts';
import type { Bmc, Power } from '../power/index.ts';
import type { Boot, JsonObject, Node, Port } from './node.ts';
import type { ProvisionState } from './states.ts';

export type { Boot, InterfaceName, JsonObject, Node, Port } from './node.ts';
export { type ProvisionEvent, type ProvisionState, provisionStates } from './states.ts';

/** What image.deployInfo answers, as far as a deploy needs it. URLs are such that the agent can fetch them. */
export interface DeployInfo {
  /** Bytes of the raw disk image. */
  readonly size: number;
  readonly name: string;
  /** Present where the image is kept as verified chunks. */
  readonly index_url?: string;
  readonly index_sha256?: string;
  readonly objects?: Readonly<Record<string, string>>;
  /** The plain stream, for a stock agent. */
  readonly stream_url: string;
  readonly disk_format: string;
  readonly os_hash_algo: string;
  readonly os_hash_value: string;
  /** Where the image names them: the agent may start the written system by kexec. */
  readonly kexec?: { readonly kernel: string; readonly initrd?: string; readonly cmdline: string };
}

/** What baremetal needs of the image service: `image` passes by shape. */
export interface DeployImages {
  /** @throws Fault when the image is not there */
  deployInfo(imageId: string, options: { ttl: number }): Promise<DeployInfo>;
}

export interface BaremetalDeps {
  readonly power: Power;
  readonly images: DeployImages;
  /** `none` lets everybody in as admin: tests and a stand-alone API on loopback. */
  readonly authenticate: Authenticate | 'none';
  /** The service's prefix and public URL, for links. */
  readonly prefix?: string;
  readonly publicUrl?: string;
  /** Names the conductor in the API; default: the operations' owner. */
  readonly hostname?: string;
  /** Multiplies every deadline: 1 is real hardware, a TCG lab has more. */
  readonly speed?: number;
  /** How the conductor reaches agents; default: https with the pinned certificate. */
  readonly agentTransport?: AgentTransport;
  /** Whether a used node's partition tables are erased by the agent before it is given away again. Default false: the next
   *  image overwrites them, and the lab stays quick. A node's own automated_clean wins. */
  readonly automatedClean?: boolean;
  readonly clock?: Clock;
}

export interface BootIntent {
  readonly node: Node;
  readonly intent: Boot;
  /** Why, in words: `deploying: the agent is awaited`. */
  readonly reason: string;
  /** The minted boot token, bound to node, MAC and power cycle; the same at every call until the agent's first heartbeat
   *  burns it. Present with intent `agent`. */
  readonly token?: string;
  /** Kernel arguments of the agent beside those that boot adds itself. */
  readonly agentArguments: Readonly<Record<string, string>>;
}

export interface DeployRequest {
  readonly imageId: string;
  /** base64 of a gzipped ISO or FAT image. */
  readonly configDrive?: string;
  readonly serverId?: string;
  /** Start the written system by kexec where the image says how. */
  readonly kexec?: boolean;
  readonly instanceInfo?: JsonObject;
}

export interface ClaimWanted {
  readonly resourceClass?: string | null;
  readonly traits?: readonly string[];
  /** properties.capabilities that must be there with these values. */
  readonly capabilities?: Readonly<Record<string, string>>;
  readonly projectId: string | null;
  readonly serverId: string;
  /** This very node. */
  readonly nodeId?: string;
}

export interface NodeFilters {
  readonly provisionState?: ProvisionState;
  readonly driver?: string;
  readonly resourceClass?: string;
  readonly instanceUuid?: string;
  readonly associated?: boolean;
  readonly maintenance?: boolean;
  readonly owner?: string;
  readonly limit?: number;
}

export interface NewNode {
  readonly uuid?: string;
  readonly name?: string | null;
  readonly driver: string;
  readonly driverInfo?: JsonObject;
  readonly properties?: JsonObject;
  readonly extra?: JsonObject;
  readonly resourceClass?: string | null;
  readonly traits?: readonly string[];
  readonly ports?: readonly { readonly address: string; readonly physicalNetwork?: string | null }[];
}

export interface ImportOptions {
  /** Go on to `available`; false stops at `manageable`. Default true. */
  readonly provide?: boolean;
}

export interface ImportedNode {
  readonly uuid: string;
  readonly name: string | null;
  readonly action: 'create' | 'update' | 'keep';
  /** The operation that verifies it; null when there is nothing to do. */
  readonly operation: string | null;
}

/** What a node does now: what it waits on, since when, how long that usually takes, and what to do. */
export interface NodeActivity {
  readonly busy: boolean;
  readonly activity: Activity | null;
  /** The newest operation when nothing runs: how it ended. */
  readonly last: { readonly kind: string; readonly state: string; readonly error: string | null } | null;
}

export interface Baremetal {
  /** Ironic v1, mounted at /baremetal. */
  readonly routes: Routes;
  /** /, /v1, lookup, heartbeat and continue_inspection alone: mounted unprefixed on the provisioning listener. */
  readonly agentRoutes: Routes;
  nodeByMac(mac: string): Promise<Node | null>;
  /** @throws Fault `node-not-found` */
  findNode(context: Context, idOrName: string): Promise<Node>;
  listNodes(context: Context, filters?: NodeFilters): Promise<Node[]>;
  portsOf(nodeUuid: string): Promise<Port[]>;
  createNode(context: Context, fields: NewNode): Promise<Node>;
  updateNode(context: Context, uuid: string, fields: Partial<NewNode>): Promise<Node>;
  deleteNode(context: Context, uuid: string): Promise<void>;
  /** Picks an `available`, not maintained, unclaimed node and gives it to the server, in the caller's transaction.
   *  @throws Fault `no-valid-host` with counts by reason */
  claim(tx: Tx, wanted: ClaimWanted): Promise<Node>;
  release(tx: Tx, nodeUuid: string): Promise<void>;
  /** Starts the deploy operation and returns its id. @throws Fault `node-busy`, `node-verb-refused` */
  deploy(tx: Tx, context: Context, nodeUuid: string, request: DeployRequest): Promise<string>;
  /** Takes the node back; a deploy under way is cancelled first and the node then taken back. Null when it must end first. */
  undeploy(tx: Tx, context: Context, nodeUuid: string): Promise<string | null>;
  /** Ironic's verbs: manage, inspect, provide, clean, active, rebuild, deleted, abort, adopt. */
  setProvisionState(context: Context, idOrName: string, verb: string, body?: JsonObject): Promise<void>;
  setPower(context: Context, idOrName: string, target: string, timeoutSeconds?: number): Promise<void>;
  bmcOf(nodeUuid: string): Promise<Bmc>;
  /** Null when no node has this MAC. */
  bootIntent(mac: string): Promise<BootIntent | null>;
  importNodes(context: Context, instackenv: unknown, options?: ImportOptions): Promise<ImportedNode[]>;
  activity(nodeUuid: string): Promise<NodeActivity>;
  timeline(nodeUuid: string, options?: { limit?: number; after?: number }): Promise<RecordedEvent[]>;
  /** Listens for what happens to nodes, and takes up what a dead process left pending. */
  start(): Promise<void>;
  stop(): void;
}
