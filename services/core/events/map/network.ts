export interface NetworkEvents {
  /** A port took the MAC of the node: from now on DHCP gives that MAC the port's address. */
  'network.port-bound': { port: string; mac: string; addresses: string[] };
  'network.port-unbound': { port: string; mac: string };
  /** The provisioning network set an address aside for a MAC, for good. */
  'network.address-kept': { mac: string; address: string };
}
