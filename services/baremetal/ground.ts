/** What every part of this service stands on; built once by the front door. */
import type { Tx } from '../core/database/index.ts';
import type { House } from '../core/house.ts';
import type { Wait } from '../core/operations/index.ts';
import type { AgentTransport } from '../ipa/index.ts';
import type { Power } from '../power/index.ts';
import type { DeployImages } from './image.ts';

export interface Ground {
  readonly house: House;
  readonly power: Power;
  readonly images: DeployImages;
  /** The conductor's name in answers. */
  readonly hostname: string;
  /** Every deadline is multiplied by this. */
  readonly speed: number;
  readonly agentTransport?: AgentTransport;
  readonly automatedClean: boolean;
  /** What a machine has to wait for before it is switched on for the ramdisk: a foreign DHCP server to go. */
  readonly bootHold?: () => Wait | null;
  /** Gives back the address that the provisioning network holds for a MAC; nothing where there is none. */
  forgetAddress(tx: Tx, mac: string): Promise<void>;
}

export const nodeSubject = (uuid: string) => ({ type: 'node', id: uuid }) as const;

/** Cause of a power state that nobody here brought about: the fleet loop found it. */
export const seenByFleet = 'the BMC said so';
