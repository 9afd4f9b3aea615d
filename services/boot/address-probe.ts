/**
 * Whether somebody has an address that is about to be given from a pool: asked by ARP, while the OFFER is already on its way. RFC 2131
 * section 3.1 has the server ask first, which costs every client a second or more.
 */
import type { Clock } from '../core/clock.ts';
import { arpProbe, readArpAnswer } from './frame.ts';
import type { Wire } from './wire.ts';

export interface AddressProbeDeps {
  /** The wire of the link that the address belongs to; null where it is not on one (behind a relay). */
  readonly wireOf: (address: string) => Pick<Wire, 'mac' | 'send' | 'onAnswer'> | null;
  readonly clock: Pick<Clock, 'after'>;
}

/** Asked again once, and then believed free: who has an address answers within milliseconds. */
const againMs = 400;
const patienceMs = 1_000;
/** A flood of invented machines is not doubled by our questions. */
const mostAtOnce = 200;

/** The MAC that answers, or null: nobody does, or nobody was asked. */
export function createAddressProbe({ wireOf, clock }: AddressProbeDeps): (address: string) => Promise<string | null> {
  let underWay = 0;
  return (address) => {
    const wire = wireOf(address);
    if (!wire || underWay >= mostAtOnce) return Promise.resolve(null);
    underWay += 1;
    return new Promise((resolve) => {
      const ask = () => wire.send(arpProbe(wire.mac, address));
      const end = (mac: string | null) => {
        for (const leave of leaving) leave();
        underWay -= 1;
        resolve(mac);
      };
      const leaving = [
        wire.onAnswer(({ bytes }) => {
          const answer = readArpAnswer(bytes);
          if (answer?.address === address) end(answer.mac);
        }),
        clock.after(againMs, ask),
        clock.after(patienceMs, () => end(null)),
      ];
      ask();
    });
  };
}
