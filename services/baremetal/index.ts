/** Front door of baremetal: nodes, their states, the operations on them, and what a machine is to boot now. */
import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import type { RecordedEvent } from '../core/events/index.ts';
import type { House } from '../core/house.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import type { Activity, Wait } from '../core/operations/index.ts';
import type { AgentTransport } from '../ipa/index.ts';
import type { Network } from '../network/index.ts';
import { type Bmc, type FleetSettings, type FleetView, type Power, requireCapability } from '../power/index.ts';
import { type BootIntent, bootIntent, modelOf } from './boot-intent.ts';
import { watchBootTruth } from './boot-truth.ts';
import { startOn } from './busy.ts';
import { bmcOf, requireNode } from './change.ts';
import { type ClaimWanted, claim, release } from './claim.ts';
import { type ConsoleSettings, type Consoles, createConsoles } from './console/index.ts';
import { accessOf } from './driver-info.ts';
import { createEnrolment, type Enrolment, type NewNode } from './enrolment.ts';
import { type Ground, nodeSubject } from './ground.ts';
import type { DeployImages } from './image.ts';
import { type ImportedNode, type ImportOptions, importNodes } from './import.ts';
import { createNodeLooks, type NodeLooks } from './looks.ts';
import type { JsonObject, Node, Port } from './node.ts';
import { createNodePorts, type NodePorts } from './node-ports.ts';
import { createPowerWatch, type PowerWatch } from './power-watch.ts';
import {
  createProvision,
  type DeployRequest,
  type NodeOperations,
  nodeOperations,
  type Provision,
} from './provision.ts';
import { agentRoutes } from './routes/agent.ts';
import { allRoutes } from './routes/index.ts';
import { wakesNode } from './steps/boot-stage.ts';
import { listNodes, macsOfNodes, type NodeQuery, nodeByMac, nodesOfImage } from './store/nodes.ts';
import { listPorts } from './store/ports.ts';

export type { BootIntent } from './boot-intent.ts';
export type { ClaimWanted } from './claim.ts';
export type { ConsoleSettings, RecordPolicy } from './console/index.ts';
export type { NewNode } from './enrolment.ts';
export type { DeployImages, DeployInfo } from './image.ts';
export type { ImportedNode, ImportOptions } from './import.ts';
export type { Boot, InterfaceName, JsonObject, Node, Port } from './node.ts';
export type { NodePortFields, NodePorts } from './node-ports.ts';
export type { DeployRequest } from './provision.ts';
export { isProvisionState, type ProvisionEvent, type ProvisionState, provisionStates } from './states.ts';
export type { NodeQuery as NodeFilters } from './store/nodes.ts';

export interface BaremetalDeps {
  readonly power: Power;
  readonly images: DeployImages;
  /** `none` lets everybody in as admin: tests and a stand-alone API on loopback. */
  readonly authenticate: Authenticate | 'none';
  /** The service's prefix and public URL, for links. Default `/baremetal` and the Host header. */
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
  /** Who holds the addresses of MACs; without one there is nothing to give back. */
  readonly network?: Pick<Network, 'forgetAddress'>;
  /** What a machine has to wait for before it is switched on for the ramdisk; default: nothing. */
  readonly bootHold?: () => Wait | null;
  /** How often BMCs are looked at, and how long one may be silent; null: never. */
  readonly fleet?: Partial<FleetSettings> | null;
  /** Where consoles are recorded, and which; without it they are shown and not recorded. */
  readonly consoles?: ConsoleSettings & { readonly directory: string };
}

/** What a node does now: what it waits on, since when, how long that usually takes, and what to do. */
export interface NodeActivity {
  readonly activity: Activity | null;
  /** The newest operation, ended or not: a node that an import removed again still says why. */
  readonly last: {
    readonly operation: string;
    readonly kind: string;
    readonly state: string;
    readonly error: string | null;
    readonly startedAt: Date;
    readonly finishedAt: Date | null;
  } | null;
}

export interface Baremetal {
  /** Ironic v1, mounted at /baremetal; lookup and heartbeat included. */
  readonly routes: Routes;
  /** /, /v1, lookup, heartbeat and continue_inspection alone: mounted unprefixed on the provisioning listener. */
  readonly agentRoutes: Routes;
  nodeByMac(mac: string): Promise<Node | null>;
  /** Every MAC of every node. */
  macs(): Promise<{ mac: string; uuid: string; name: string | null }[]>;
  /** Whatever the context's project: a tenant's server is on a node that the tenant does not own. Who sees what over HTTP is
   *  the routes' business. @throws Fault `node-not-found` */
  findNode(context: Context, idOrName: string): Promise<Node>;
  listNodes(context: Context, filters?: NodeQuery): Promise<Node[]>;
  /** Whom it would harm if this image were deleted. */
  nodesOfImage(id: string, name: string | null): Promise<{ uuid: string; name: string | null }[]>;
  portsOf(nodeUuid: string): Promise<Port[]>;
  readonly nodePorts: NodePorts;
  createNode(context: Context, fields: NewNode): Promise<Node>;
  updateNode(context: Context, uuid: string, fields: Partial<NewNode>): Promise<Node>;
  deleteNode(context: Context, uuid: string): Promise<void>;
  /** Picks an `available`, not maintained, unclaimed node and gives it to the server, in the caller's transaction.
   *  @throws Fault `no-valid-host` with counts by reason */
  claim(tx: Tx, wanted: ClaimWanted): Promise<Node>;
  release(tx: Tx, nodeUuid: string): Promise<void>;
  /** Starts the deploy operation and returns its id. @throws Fault `node-busy`, `node-verb-refused` */
  deploy(tx: Tx, context: Context, nodeUuid: string, request: DeployRequest): Promise<string>;
  /** Takes the node back. Null when a deploy must end first: it is cancelled, and the node is then taken back by itself. */
  undeploy(tx: Tx, context: Context, nodeUuid: string): Promise<string | null>;
  /** Ironic's verbs: manage, inspect, provide, clean, active, rebuild, deleted, abort, adopt. */
  setProvisionState(context: Context, idOrName: string, verb: string, body?: JsonObject): Promise<void>;
  /** Ironic's targets: `power on`, `power off`, `rebooting`, `soft power off`, `soft rebooting`. */
  setPower(context: Context, idOrName: string, target: string, timeoutSeconds?: number): Promise<void>;
  bmcOf(nodeUuid: string): Promise<Bmc>;
  /** Null when no node has this MAC. */
  bootIntent(mac: string): Promise<BootIntent | null>;
  /** Maker and product as the node's agent saw them; null before it was inspected. */
  modelOf(nodeUuid: string): Promise<string | null>;
  importNodes(context: Context, instackenv: unknown, options?: ImportOptions): Promise<ImportedNode[]>;
  activity(nodeUuid: string): Promise<NodeActivity>;
  timeline(nodeUuid: string, options?: { limit?: number; after?: number }): Promise<RecordedEvent[]>;
  /** Looks at the BMCs of nodes at rest now; returns how many power states had changed. */
  syncPower(): Promise<number>;
  /** Starts the examination whose result is the report card, and returns the operation's id. @throws Fault `node-busy` */
  checkBmc(context: Context, idOrName: string): Promise<string>;
  /** Starts to give our user on the BMC another password. @throws Fault `node-busy`, `bmc-lacks` */
  rotatePassword(context: Context, idOrName: string): Promise<string>;
  /** What the fleet loop knows of a node's BMC; null: it does not look at it. */
  bmcView(nodeUuid: string): FleetView | null;
  fleetCounts: PowerWatch['counts'];
  /** Listens for what happens to nodes, and takes up what a dead process left pending. Call before operations.run(). */
  start(): Promise<void>;
  /** Resolves when the BMCs have been told that their consoles are no longer watched. */
  stop(): Promise<void>;
  readonly operations: NodeOperations;
}

/** What routes are made of. */
export interface Rooms {
  readonly ground: Ground;
  readonly looks: NodeLooks;
  readonly enrolment: Enrolment;
  readonly provision: Provision;
  readonly baremetal: Baremetal;
  readonly consoles: Consoles;
  readonly deps: BaremetalDeps;
}

export function createBaremetal(house: House, deps: BaremetalDeps): Baremetal {
  const ground: Ground = {
    house,
    power: deps.power,
    images: deps.images,
    hostname: deps.hostname ?? house.operations.owner,
    speed: deps.speed ?? 1,
    automatedClean: deps.automatedClean ?? false,
    forgetAddress: async (tx, mac) => deps.network?.forgetAddress(tx, mac),
    ...(deps.agentTransport && { agentTransport: deps.agentTransport }),
    ...(deps.bootHold && { bootHold: deps.bootHold }),
  };
  const { db, recorder } = house;
  const operations = nodeOperations(ground);
  for (const operation of Object.values(operations)) house.operations.register(operation as never);
  const looks = createNodeLooks(house);
  const enrolment = createEnrolment(ground, looks);
  const provision = createProvision(ground, operations);
  const powerWatch = createPowerWatch(ground, deps.fleet === undefined ? {} : deps.fleet);
  const consoles = createConsoles(ground, { directory: null, ...deps.consoles });
  let leave = () => {};
  let leaveBoots = () => {};

  const baremetal: Baremetal = {
    routes: async (api) => allRoutes(api, { ground, looks, enrolment, provision, baremetal, consoles, deps }),
    agentRoutes: async (api) => agentRoutes(api, { ground, looks, enrolment, provision, baremetal, consoles, deps }),
    nodeByMac: (mac) => nodeByMac(db, mac.toLowerCase().replaceAll('-', ':')),
    macs: () => macsOfNodes(db),
    findNode: (_context, idOrName) => enrolment.find(idOrName),
    listNodes: (_context, filters = {}) => listNodes(db, filters),
    nodesOfImage: (id, name) => nodesOfImage(db, id, name),
    portsOf: (nodeUuid) => listPorts(db, { nodeUuid }),
    nodePorts: createNodePorts(ground),
    createNode: (context, fields) => db.transaction((tx) => enrolment.create(tx, context, fields)),
    updateNode: (context, uuid, fields) => db.transaction((tx) => enrolment.update(tx, context, uuid, fields)),
    deleteNode: (context, uuid) => enrolment.remove(context, uuid),
    claim: (tx, wanted) => claim(ground, tx, wanted),
    release: (tx, uuid) => release(ground, tx, uuid),
    deploy: (tx, context, uuid, request) => provision.deploy(tx, context, uuid, request),
    undeploy: (tx, context, uuid) => provision.undeploy(tx, context, uuid),
    async setProvisionState(context, idOrName, verb, body = {}) {
      await provision.verb(context, (await enrolment.find(idOrName)).uuid, verb, body);
    },
    async setPower(context, idOrName, target, timeoutSeconds) {
      await provision.power(context, (await enrolment.find(idOrName)).uuid, target, timeoutSeconds ?? null);
    },
    bmcOf: async (uuid) => bmcOf(ground, await requireNode(db, uuid)),
    bootIntent: (mac) => bootIntent(ground, mac),
    modelOf: (uuid) => modelOf(ground, uuid),
    importNodes: (context, instackenv, options) =>
      importNodes(ground, { enrolment, provision }, context, instackenv, options),
    async activity(uuid) {
      const subject = nodeSubject(uuid);
      const [activity, last] = await Promise.all([house.operations.activity(subject), house.operations.last(subject)]);
      return {
        activity,
        last: last && {
          operation: last.id,
          kind: last.kind,
          state: last.state,
          error: last.error?.message ?? null,
          startedAt: last.created_at,
          finishedAt: last.finished_at,
        },
      };
    },
    syncPower: () => powerWatch.sweep(),
    async checkBmc(context, idOrName) {
      const { uuid } = await enrolment.find(idOrName);
      return db.transaction((tx) => startOn(ground, tx, operations.checkBmc, uuid, null, context));
    },
    async rotatePassword(context, idOrName) {
      const node = await enrolment.find(idOrName);
      requireCapability(bmcOf(ground, node), 'credentials', accessOf(house.secrets, node));
      return db.transaction((tx) => startOn(ground, tx, operations.rotatePassword, node.uuid, null, context));
    },
    bmcView: (uuid) => powerWatch.view(uuid),
    fleetCounts: () => powerWatch.counts(),
    timeline: (uuid, options) => recorder.timeline(nodeSubject(uuid), options),
    async start() {
      leave();
      leaveBoots();
      leaveBoots = watchBootTruth(ground);
      leave = recorder.subscribe((event) => {
        if (event.subject.type !== 'node') return;
        if (wakesNode(event.kind)) house.operations.wake(event.subject);
        if (event.kind === 'operation.failed' || event.kind === 'operation.succeeded')
          provision.takeUpPending(event.subject.id).catch(() => {});
      });
      await provision.takeUpPending();
      await consoles.start();
      await powerWatch.start();
    },
    async stop() {
      const released = powerWatch.stop();
      leave();
      leaveBoots();
      leave = () => {};
      leaveBoots = () => {};
      await Promise.all([consoles.stop(), released]);
    },
    operations,
  };
  return baremetal;
}
