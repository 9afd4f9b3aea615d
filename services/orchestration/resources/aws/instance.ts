/** AWS::EC2::Instance: a server, asked for in AWS's words. */
import type { Handler, Outcome, Wish, Work } from '../../engine/handler.ts';
import type { Properties } from '../../engine/state.ts';
import type { Plain } from '../../model.ts';
import { server } from '../server.ts';

type Pair = { readonly Key: string; readonly Value: string };
const mapOf = (pairs: Plain | undefined): { [key: string]: Plain } =>
  Object.fromEntries(((pairs ?? []) as unknown as Pair[]).map(({ Key, Value }) => [Key, Value]));

/** Ours by AWS's names; what bare metal has no use for (volumes, tenancy, monitoring) is left out. */
const names: Readonly<Record<string, string>> = {
  ImageId: 'image',
  InstanceType: 'flavor',
  KeyName: 'key_name',
  UserData: 'user_data',
};

export function serverProperties(properties: Properties): { [name: string]: Plain } {
  const own = Object.fromEntries(
    Object.entries(names).flatMap(([aws, name]) => {
      const value = properties[aws];
      return value === null || value === undefined ? [] : [[name, value]];
    }),
  );
  const interfaces = ((properties.NetworkInterfaces ?? []) as (string | { NetworkInterfaceId?: string })[]).map(
    (one) => ({
      port: typeof one === 'string' ? one : (one.NetworkInterfaceId ?? ''),
    }),
  );
  return {
    ...own,
    user_data_format: 'HEAT_CFNTOOLS',
    metadata: mapOf(properties.Tags),
    scheduler_hints: mapOf(properties.NovaSchedulerHints),
    ...(interfaces.length > 0 && { networks: interfaces }),
  };
}

/** A subnet stands for its network: a server is asked for on networks. */
async function asServer(work: Work): Promise<Work> {
  const properties = serverProperties(work.properties);
  const subnet = work.properties.SubnetId;
  if (typeof subnet === 'string' && subnet !== '' && !properties.networks) {
    const { networkId } = await work.desk.network.findSubnet(work.context, subnet);
    properties.networks = [{ network: networkId }];
  }
  // Not a copy: what the work tells of itself changes while it is done.
  return Object.create(work, { properties: { value: properties } }) as Work;
}

const asServerWish = (wish: Wish): Wish => ({
  ...wish,
  property(name) {
    const [aws] = Object.entries(names).find(([, own]) => own === name) ?? [];
    return aws ? wish.property(aws) : undefined;
  },
});

const looked = (action: ((work: Work) => Promise<Outcome> | Outcome) | undefined) =>
  action && (async (work: Work) => action(await asServer(work)));

const suspend = looked(server.suspend);
const resume = looked(server.resume);

export const awsInstance: Handler = {
  type: 'AWS::EC2::Instance',
  backend: 'compute',
  minutes: 120,
  ...(server.impact && { impact: server.impact }),
  validate: async (wish) => server.validate?.(asServerWish(wish)),
  create: async (work) => server.create(await asServer(work)),
  ...(server.delete && { delete: server.delete }),
  ...(server.check && { check: server.check }),
  ...(suspend && { suspend }),
  ...(resume && { resume }),
  async attributes(work) {
    const found = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
    const addresses = await work.desk.compute.addresses(work.context, found);
    const first = Object.values(addresses).flat()[0]?.ip ?? '0.0.0.0';
    return {
      AvailabilityZone: work.desk.region,
      PrivateDnsName: found.name,
      PublicDnsName: found.name,
      PrivateIp: first,
      PublicIp: first,
    };
  },
};
