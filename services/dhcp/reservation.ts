import { formatAddress, normaliseMac, requireAddress } from './address.ts';
import type { OptionOverrides } from './subnet.ts';

/** A machine's own address, by its MAC whatever client identifier it sends (firmware, iPXE, networkd and dhclient all send another one). */
export interface Reservation {
  readonly mac: string;
  readonly address: string;
  readonly hostName?: string;
  /** Beside or instead of the subnet's. */
  readonly options?: OptionOverrides;
}

export interface HeldReservation {
  readonly mac: string;
  readonly address: number;
  readonly hostName: string | undefined;
  readonly options: OptionOverrides | undefined;
}

/**
 * Reservations in memory, kept in step by whoever owns the ports. A MAC may have one in each of several subnets; an address belongs to one MAC.
 */
export class Reservations {
  readonly #byMac = new Map<string, HeldReservation[]>();
  readonly #byAddress = new Map<number, HeldReservation>();
  /** Told about every address that becomes reserved or free, so that pools keep out of them. */
  readonly #onChange: (address: number, reserved: boolean) => void;

  constructor(onChange: (address: number, reserved: boolean) => void = () => {}) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  /** Adds or replaces. Throws a sentence when the address is another MAC's. */
  set(reservation: Reservation): void {
    const mac = normaliseMac(reservation.mac);
    if (!mac)
      throw new Error(
        `reservation of ${reservation.address}: "${reservation.mac}" is no MAC address; write it as 52:54:00:aa:00:01`,
      );
    const address = requireAddress(reservation.address, `reservation of ${mac}`);
    const holder = this.#byAddress.get(address);
    if (holder && holder.mac !== mac) {
      throw new Error(`reservation of ${mac}: ${reservation.address} is reserved for ${holder.mac}; remove that first`);
    }
    const held: HeldReservation = { mac, address, hostName: reservation.hostName, options: reservation.options };
    const others = (this.#byMac.get(mac) ?? []).filter((one) => one.address !== address);
    this.#byMac.set(mac, [...others, held]);
    this.#byAddress.set(address, held);
    if (!holder) this.#onChange(address, true);
  }

  /** Removes one address of a MAC, or all of them. */
  remove(mac: string, address?: string): void {
    const key = normaliseMac(mac) ?? mac;
    const only = address === undefined ? undefined : requireAddress(address, `reservation of ${key}`);
    const kept: HeldReservation[] = [];
    for (const held of this.#byMac.get(key) ?? []) {
      if (only !== undefined && held.address !== only) {
        kept.push(held);
        continue;
      }
      this.#byAddress.delete(held.address);
      this.#onChange(held.address, false);
    }
    if (kept.length > 0) this.#byMac.set(key, kept);
    else this.#byMac.delete(key);
  }

  /** Makes the set exactly this one. */
  replace(all: Iterable<Reservation>): void {
    const wanted = new Map<string, Reservation>();
    for (const one of all) wanted.set(`${normaliseMac(one.mac) ?? one.mac} ${one.address}`, one);
    for (const held of [...this.#byAddress.values()]) {
      const address = formatAddress(held.address);
      if (!wanted.has(`${held.mac} ${address}`)) this.remove(held.mac, address);
    }
    for (const one of wanted.values()) this.set(one);
  }

  macs(): Iterable<string> {
    return this.#byMac.keys();
  }

  of(mac: string): readonly HeldReservation[] {
    return this.#byMac.get(mac) ?? NONE;
  }

  at(address: number): HeldReservation | undefined {
    return this.#byAddress.get(address);
  }
}

const NONE: readonly HeldReservation[] = [];
