/** Front door of power: one BMC object for each node, kept with its session; drivers as a table. */
import type { House } from '../core/house.ts';
import type { Bmc, BmcAccess } from './bmc.ts';
import type { FakeMachines } from './fake.ts';

export type {
  Bmc,
  BmcAccess,
  BmcDriver,
  BmcInfo,
  BootDevice,
  BootDeviceName,
  PowerState,
  PowerTarget,
} from './bmc.ts';

export interface Power {
  /** The node's BMC; the same object as long as the access is the same. @throws Fault `driver-not-there` */
  bmc(access: BmcAccess): Bmc;
  /** Closes the session of a node that is gone. */
  forget(key: string): void;
  /** The machines behind driver `fake-hardware`: tests and simulations move them. */
  readonly fakes: FakeMachines;
  close(): Promise<void>;
}

export interface PowerDeps {
  fakes?: FakeMachines;
}

export type CreatePower = (house: Pick<House, 'recorder'>, deps?: PowerDeps) => Power;
