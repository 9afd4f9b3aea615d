/** The nouns of compute, as other services see them. */
import type { Context } from '../core/context.ts';

export type ServerStatus = 'BUILD' | 'REBUILD' | 'ACTIVE' | 'ERROR' | 'SHUTOFF' | 'REBOOT' | 'DELETED';

/** What a server asks of the network: a network to make a port on, or a port that is there. */
export interface NetworkWish {
  readonly network?: string;
  readonly port?: string;
  readonly fixedIp?: string;
}

export interface Flavor {
  readonly id: string;
  readonly name: string;
  /** MiB, number, GiB: shown to clients; what decides is the resource class in `extra_specs`. */
  readonly ram: number;
  readonly vcpus: number;
  readonly disk: number;
  readonly description: string | null;
  readonly is_public: boolean;
  readonly extra_specs: Readonly<Record<string, string>>;
}

export interface Server {
  readonly id: string;
  readonly project_id: string;
  readonly user_id: string;
  readonly name: string;
  readonly description: string | null;
  readonly image_id: string;
  readonly flavor_id: string;
  readonly flavor: Flavor;
  readonly status: ServerStatus;
  /** `scheduling`, `networking`, `spawning`, `deleting`, … while it is on its way; null at rest. */
  readonly task_state: string | null;
  readonly node_id: string | null;
  readonly node_name: string | null;
  readonly key_name: string | null;
  readonly public_key: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Sealed: it may carry the collectors' credentials. */
  readonly user_data: string | null;
  readonly config_drive: boolean;
  readonly networks: readonly NetworkWish[];
  readonly hints: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly fault: { readonly code: number; readonly message: string; readonly created: string } | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly launched_at: Date | null;
  readonly deleted_at: Date | null;
}

export interface NewServer {
  readonly name: string;
  /** Image and flavor by id or name. */
  readonly image: string;
  readonly flavor: string;
  /** None: the provisioning network. */
  readonly networks?: readonly NetworkWish[];
  /** Plain text, not base64. At most 65,535 bytes, as Nova's base64 form allows. */
  readonly userData?: string;
  readonly keyName?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly configDrive?: boolean;
  readonly description?: string;
  /** `node`: this very node, by id or name; `hand_over`: see hand-over.ts. */
  readonly hints?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
}

/** Another image on the same node, under the same name, ports and addresses. */
export interface Rebuild {
  /** By id or name. */
  readonly image: string;
  /** The partition `ephemeral0` of the node's disk stays as it is. */
  readonly preserveEphemeral?: boolean;
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** An image as far as compute looks at it. */
export interface ComputeImage {
  readonly id: string;
  readonly name: string | null;
  readonly status: string;
  readonly properties?: Readonly<Record<string, string>>;
}

export interface ComputeImages {
  /** By id or name. @throws Fault when there is none or more than one */
  find(context: Context, idOrName: string): Promise<ComputeImage>;
}

export const serverSubject = (id: string) => ({ type: 'server', id });
