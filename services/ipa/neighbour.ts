/**
 * Ours: agents that write the same image give each other what they have of it. The undercloud tells who they are and a token by which
 * they know each other; what each has, it tells itself. Nothing here is believed: every chunk is verified by the signed index.
 */
import { isIP } from 'node:net';
import { list, object, ProtocolError, shown, text, whole } from './field.ts';

/** A neighbour is asked with the token of the image in this header. */
export const NEIGHBOUR_HEADER = 'x-undercloud-neighbour';
/** Bytes of the undercloud's answer at most: 64 neighbours take some 4 kB. */
export const NEIGHBOURS_MAX = 65_536;

export interface NeighbourAddress {
  /** An IP address: names are not looked up. */
  address: string;
  port: number;
}

/** What the undercloud answers to "I write this image too, at this port". */
export interface NeighbourList {
  /** The first is to be shown; each of them is to be taken. */
  tokens: string[];
  neighbours: NeighbourAddress[];
  /** ms until the undercloud wants to hear from this agent again. */
  again_ms: number;
}

export function readNeighbourList(value: unknown): NeighbourList {
  const given = object(value, 'The list of neighbours');
  const tokens = list(given.tokens, 'tokens', 4).map((token, i) => text(token, `tokens[${i}]`, 128));
  if (tokens.length === 0) throw new ProtocolError('The list of neighbours has no token.');
  const neighbours = list(given.neighbours, 'neighbours', 64).map((entry, i) => {
    const { address, port } = object(entry, `neighbours[${i}]`);
    const ip = text(address, `neighbours[${i}].address`, 64);
    if (isIP(ip) === 0) throw new ProtocolError(`neighbours[${i}].address is ${shown(ip)}, no IP address.`);
    return { address: ip, port: whole(port, `neighbours[${i}].port`, 1, 65_535) };
  });
  return { tokens, neighbours, again_ms: whole(given.again_ms, 'again_ms', 100, 3_600_000) };
}

export const neighbourName = ({ address, port }: NeighbourAddress): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;
