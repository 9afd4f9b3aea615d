/** Virtual BMCs in a process of their own, so that their cost is nobody else's. Started with fork; tells where they listen. */
import { serveVirtualBmcs } from '../../../services/lab/index.ts';

export interface BmcsReady {
  readonly addresses: readonly string[];
  readonly port: number;
}

export interface BmcsOrder {
  /** Places of those that fall deaf; the others hear. */
  readonly deaf: readonly number[];
}

const count = Number(process.argv[2]);
const first = process.argv[3];
const served = await serveVirtualBmcs({ count, maxSessions: 16, ...(first && { first }) });
const ready: BmcsReady = { addresses: served.addresses, port: served.port };
process.send?.(ready);
process.on('message', ({ deaf }: BmcsOrder) => {
  for (const [place, { faults }] of served.bmcs.entries()) faults.deaf = deaf.includes(place);
  process.send?.('done');
});
process.on('disconnect', () => process.exit(0));
