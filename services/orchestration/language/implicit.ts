import { Fault } from './faults.ts';
import type { Graph } from './graph.ts';
import type { Resource } from './resource.ts';
import { equal, truthy, type Value } from './values.ts';

/**
 * What Neutron needs but no template says: a port wants the subnets of its network to exist, a floating address the
 * router of its subnet. Heat adds these edges by comparing property values before anything is created; so does this
 * table, one line a type. A value that cannot be worked out yet makes no edge.
 */

type Peers = ReadonlyMap<string, Resource>;
type Rule = (resource: Resource, peers: Peers, graph: Graph) => void;

/** Runs `work`; a property that has no valid value is validation's business, and makes no edge here. */
function quietly(work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (!(thrown instanceof Fault) || (thrown.kind !== 'ValueError' && thrown.kind !== 'TypeError')) throw thrown;
  }
}

const is = (resource: Resource, type: string): boolean => resource.type.name === type;
const inMap = (value: Value, key: string): Value => (value instanceof Map ? (value.get(key) ?? null) : null);
const property = (resource: Resource, name: string): Value =>
  name in resource.properties.schemas ? resource.properties.get(name) : null;

/** Needs each peer of `type` whose property equals the resource's own. */
function sameValue(own: string, type: string, theirs: string): Rule {
  return (resource, peers, graph) => {
    for (const peer of peers.values()) {
      if (!is(peer, type)) continue;
      quietly(() => {
        if (equal(property(peer, theirs), property(resource, own))) graph.require(resource.name, peer.name);
      });
    }
  };
}

const serverNeedsSubnets: Rule = (resource, peers, graph) => {
  let networks: Value = null;
  quietly(() => {
    networks = property(resource, 'networks');
  });
  if (!truthy(networks)) return;
  for (const peer of peers.values()) {
    if (!is(peer, 'OS::Neutron::Subnet')) continue;
    quietly(() => {
      const subnetNetwork = property(peer, 'network');
      const needed =
        !truthy(subnetNetwork) ||
        (networks as Value[]).some((network) => {
          const id = inMap(network, 'network');
          return !truthy(id) || equal(id, subnetNetwork);
        });
      if (needed) graph.require(resource.name, peer.name);
    });
  }
};

const routerNeedsSubnets: Rule = (resource, peers, graph) => {
  const gateway = property(resource, 'external_gateway_info');
  if (!truthy(gateway)) return;
  const network = inMap(gateway, 'network');
  for (const peer of peers.values()) {
    if (!is(peer, 'OS::Neutron::Subnet')) continue;
    quietly(() => {
      if (equal(property(peer, 'network'), network)) graph.require(resource.name, peer.name);
    });
  }
};

const either = (first: Value, second: () => Value): Value => (truthy(first) ? first : second());

/** Whether an address of a port lies on a subnet. What is not known yet equals anything else that is not. */
const lies = (ip: Value, subnet: Value): boolean =>
  equal(
    subnet,
    either(inMap(ip, 'subnet'), () => inMap(ip, 'subnet_id')),
  );

type OnSubnet = (addresses: Value, subnet: Value) => boolean;

/** Heat looks at a port's first address alone here. */
const firstLies: OnSubnet = (addresses, subnet) => {
  const [first] = (addresses ?? []) as Value[];
  return first !== undefined && lies(first, subnet);
};

/** A port without addresses may come to lie on any subnet that is not known yet. */
const anyLies: OnSubnet = (addresses, subnet) =>
  truthy(addresses) ? (addresses as Value[]).some((ip) => lies(ip, subnet)) : subnet === null;

/** Needs a router interface on whose subnet a port lies that the resource already needs. */
function requireInterface(resource: Resource, peer: Resource, peers: Peers, graph: Graph, onSubnet: OnSubnet): void {
  const subnet = either(property(peer, 'subnet'), () => property(peer, 'subnet_id'));
  for (const name of graph.required(resource.name)) {
    const port = peers.get(name);
    if (!port || !is(port, 'OS::Neutron::Port') || !onSubnet(property(port, 'fixed_ips'), subnet)) continue;
    graph.require(resource.name, peer.name);
    return;
  }
}

const needsInterfaceOfPort: Rule = (resource, peers, graph) => {
  for (const peer of peers.values()) {
    if (is(peer, 'OS::Neutron::RouterInterface')) requireInterface(resource, peer, peers, graph, firstLies);
  }
};

const floatingNeedsRouters: Rule = (resource, peers, graph) => {
  for (const peer of peers.values()) {
    if (is(peer, 'OS::Neutron::RouterGateway')) {
      quietly(() => {
        const network = property(peer, 'network');
        const theirs = truthy(network) ? network : property(peer, 'network_id');
        if (equal(theirs, property(resource, 'floating_network'))) graph.require(resource.name, peer.name);
      });
    } else if (is(peer, 'OS::Neutron::RouterInterface')) {
      requireInterface(resource, peer, peers, graph, anyLies);
    } else if (is(peer, 'OS::Neutron::Router')) {
      quietly(() => {
        const gateway = property(peer, 'external_gateway_info');
        const own = property(resource, 'floating_network');
        if (truthy(gateway) && equal(inMap(gateway, 'network'), own)) graph.require(resource.name, peer.name);
      });
    }
  }
};

const RULES: Record<string, Rule[]> = {
  'OS::Nova::Server': [serverNeedsSubnets],
  'OS::Neutron::Port': [sameValue('network', 'OS::Neutron::Subnet', 'network')],
  'OS::Neutron::Router': [routerNeedsSubnets],
  'OS::Neutron::RouterGateway': [
    sameValue('router_id', 'OS::Neutron::RouterInterface', 'router'),
    sameValue('network', 'OS::Neutron::Subnet', 'network'),
  ],
  'OS::Neutron::FloatingIP': [floatingNeedsRouters],
  'OS::Neutron::FloatingIPAssociation': [needsInterfaceOfPort],
  'OS::Neutron::FloatingIPPortForward': [needsInterfaceOfPort],
  'OS::Neutron::ExtraRoute': [
    sameValue('router_id', 'OS::Neutron::RouterInterface', 'router'),
    sameValue('router_id', 'OS::Neutron::RouterGateway', 'router_id'),
  ],
  'OS::Neutron::ExtraRouteSet': [sameValue('router', 'OS::Neutron::RouterInterface', 'router')],
};

/** Adds to the graph what the types need beyond the template's words. */
export function implicitRequirements(resources: Peers, graph: Graph): void {
  for (const resource of resources.values()) {
    for (const rule of RULES[resource.type.name] ?? []) quietly(() => rule(resource, resources, graph));
  }
}
