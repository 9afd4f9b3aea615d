/**
 * Who writes which image just now. Kept in memory alone: it is traffic, and after a restart agents say it anew within seconds. The undercloud
 * knows nobody's chunks and vouches for nobody: it gives a few addresses by chance, as they were seen, and a token that only those
 * know that have this image's signed link.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { NeighbourAddress, NeighbourList } from '../ipa/index.ts';

export interface Neighbourhoods {
  /** An agent at `address` writes the image with this index, and gives chunks at `port`. */
  announce(indexSha256: string, address: string, port: number): NeighbourList;
}

export interface NeighbourhoodOptions {
  clock: Pick<Clock, 'now'>;
  random?: () => number;
  token?: () => string;
}

/** Neighbours that an agent is told of at one time: enough that some have what it lacks, few enough to ask them all each second. */
const TOLD = 12;
/** ms between two announcements of an agent; and not more than 100 of them a second for one image. */
const AGAIN = 2000;
const AGAIN_EACH = 10;
/** ms: a token is shown for so long, and taken for so long again. */
const TOKEN_LIFE = 10 * 60_000;
/** A rack's, and a bound for who announces what is not true. */
const MOST_MEMBERS = 4096;
const MOST_IMAGES = 64;

interface Neighbourhood {
  /** By name; the oldest announcement first. */
  members: Map<string, NeighbourAddress & { until: number }>;
  tokens: string[];
  renewAt: number;
}

export function createNeighbourhoods(options: NeighbourhoodOptions): Neighbourhoods {
  const { clock, random = Math.random, token = () => randomBytes(24).toString('base64url') } = options;
  /** The one that was heard of last is the last. */
  const images = new Map<string, Neighbourhood>();

  function heardOf(image: string, now: number): Neighbourhood {
    const found = images.get(image) ?? { members: new Map(), tokens: [], renewAt: 0 };
    images.delete(image);
    images.set(image, found);
    if (images.size > MOST_IMAGES) images.delete(images.keys().next().value!);
    if (now >= found.renewAt) {
      // A token of an image that nobody wrote for a while is nobody's.
      const previous = now < found.renewAt + TOKEN_LIFE ? found.tokens.slice(0, 1) : [];
      found.tokens = [token(), ...previous];
      found.renewAt = now + TOKEN_LIFE;
    }
    return found;
  }

  /** Some of the others, by chance (Floyd's way: as many draws as are wanted). */
  function some(others: NeighbourAddress[]): NeighbourAddress[] {
    const chosen = new Set<number>();
    for (let i = Math.max(0, others.length - TOLD); i < others.length; i++) {
      const drawn = Math.floor(random() * (i + 1));
      chosen.add(chosen.has(drawn) ? i : drawn);
    }
    return [...chosen].map((i) => others[i]!);
  }

  return {
    announce(image, address, port) {
      const now = clock.now();
      const { members, tokens } = heardOf(image, now);
      const own = `${address} ${port}`;
      for (const [name, { until }] of members) {
        if (until >= now && members.size <= MOST_MEMBERS) break;
        members.delete(name);
      }
      members.delete(own);
      const others = [...members.values()].map((member) => ({ address: member.address, port: member.port }));
      const again = Math.max(AGAIN, (members.size + 1) * AGAIN_EACH);
      members.set(own, { address, port, until: now + 3 * again });
      return { tokens, neighbours: some(others), again_ms: again };
    },
  };
}
