/**
 * Why a type that the language knows is not made here. Such a type is validated as fully as any other; a stack that has
 * one is refused with this sentence before anything of it is begun.
 */

const reasons: readonly (readonly [types: RegExp, why: string])[] = [
  [
    /^OS::Neutron::(Router|RouterInterface|ExtraRoute|ExtraRouteSet|AddressScope|SubnetPool)$|^AWS::EC2::(VPC|InternetGateway|VPCGatewayAttachment|RouteTable|Subnet|SubnetRouteTableAssociation)$/,
    'it routes nothing: the gateways of its networks are routers and switches of the site',
  ],
  [
    /^OS::(Neutron|Nova)::FloatingIP|^AWS::EC2::EIP/,
    'it routes nothing, and so has no floating addresses: a port’s own address is what others reach',
  ],
  [/^OS::Neutron::(LBaaS|.*Pool)|^OS::Octavia::|^AWS::ElasticLoadBalancing::/, 'it has no load balancer'],
  [/^OS::Neutron::(QoS|Metering)/, 'it neither limits nor counts what passes a switch port'],
  [
    /^OS::Neutron::(Firewall|FirewallPolicy|FirewallRule|VPNService|IKEPolicy|IPsec)/,
    'no packet between nodes passes through it, so it can filter and encrypt none',
  ],
  [/^OS::Neutron::Quota$|^OS::Nova::Quota$/, 'networks and servers have no quotas here'],
  [/^OS::Neutron::RBACPolicy$/, 'a network is shared with all projects or with none; set `shared` on it'],
  [/^OS::Neutron::ProviderNet$/, 'it is older than `value_specs`; use OS::Neutron::Net'],
  [/^OS::Neutron::/, 'it is made for switches in software, and nodes are on real ones'],
  [/^OS::Cinder::|^AWS::EC2::Volume/, 'it has no block storage; a node’s disks are its own'],
  [/^AWS::EC2::NetworkInterface$/, 'networks in AWS’s words are not made; use OS::Neutron::Port'],
  [/^OS::Nova::HostAggregate$/, 'nodes are grouped by resource class and traits, not by aggregates'],
  [/^OS::Aodh::|^OS::Monasca::|^AWS::CloudWatch::/, 'it has no alarms; a scaling policy is moved by its signed URL'],
  [/^OS::Keystone::Domain$/, 'its users and projects are all in the domain default'],
  [/^OS::Keystone::(Group|GroupRoleAssignment)$/, 'roles are given to users, it has no groups of them'],
  [
    /^OS::Keystone::(Region|Service|Endpoint)$/,
    'its catalog lists what it serves itself, and nothing else can be entered there',
  ],
  [/^AWS::S3::Bucket$/, 'its small object store speaks Swift; use OS::Swift::Container'],
  [/^OS::Heat::HARestarter$/, 'Heat has dropped it'],
  [/^OS::Glance::Image$/, 'Heat has dropped it; use OS::Glance::WebImage'],
  [/^OS::Zaqar::/, 'it has no message queues; use OS::Heat::SwiftSignal or a wait condition'],
  [/^OS::Mistral::/, 'it has no workflows of Mistral’s'],
  [/^OS::Barbican::/, 'it keeps no secrets for others'],
  [/^OS::Designate::/, 'it serves no zones of others'],
  [/^OS::Trove::|^AWS::RDS::/, 'it has no databases to give'],
];

export const unmadeReason = (type: string): string =>
  reasons.find(([types]) => types.test(type))?.[1] ?? 'its service is not here';
