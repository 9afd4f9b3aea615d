import { type Cidr, formatAddress, readAddress, requireAddress, requireCidr, writeAddress } from './address.ts';

/** Classless routes, option 121 (RFC 3442). A client that gets 121 ignores option 3, so the default route has to be in it. */
export interface Route {
  readonly destination: Cidr;
  /** Next hop; 0 means that the destination is on the link. */
  readonly via: number;
}

export function route(destination: string, via: string): Route {
  return {
    destination: requireCidr(destination, 'route destination'),
    via: requireAddress(via, `next hop of route ${destination}`),
  };
}

/** Undefined for a prefix above 32 or a cut entry. */
export function readRoutes(bytes: Uint8Array): Route[] | undefined {
  const routes: Route[] = [];
  let at = 0;
  while (at < bytes.length) {
    const prefix = bytes[at]!;
    const significant = Math.ceil(prefix / 8);
    if (prefix > 32 || at + 1 + significant + 4 > bytes.length) return undefined;
    const network = new Uint8Array(4);
    network.set(bytes.subarray(at + 1, at + 1 + significant));
    const destination = requireCidr(`${formatAddress(readAddress(network))}/${prefix}`, 'route destination');
    routes.push({ destination, via: readAddress(bytes, at + 1 + significant) });
    at += 1 + significant + 4;
  }
  return routes;
}

export function writeRoutes(routes: readonly Route[]): Uint8Array {
  const bytes: number[] = [];
  for (const { destination, via } of routes) {
    const quad = new Uint8Array(8);
    writeAddress(quad, 0, destination.network);
    writeAddress(quad, 4, via);
    bytes.push(destination.prefix, ...quad.subarray(0, Math.ceil(destination.prefix / 8)), ...quad.subarray(4));
  }
  return Uint8Array.from(bytes);
}

export function formatRoute({ destination, via }: Route): string {
  return `${formatAddress(destination.network)}/${destination.prefix} via ${formatAddress(via)}`;
}
