/** Security groups, segments and trunks over HTTP. */
import { Value } from 'typebox/value';
import type { Api } from '../core/http/index.ts';
import { collection, required } from './collection.ts';
import { show } from './dialect.ts';
import type { SecurityGroupRuleWish, SecurityGroups } from './groups.ts';
import {
  groupNoun,
  readSubPorts,
  ruleNoun,
  segmentNoun,
  showSubPorts,
  subPortList,
  trunkNoun,
} from './record-nouns.ts';
import { invalid } from './scope.ts';
import type { SegmentFields, Segments } from './segments.ts';
import type { TrunkFields, Trunks } from './trunks.ts';

export interface RecordRules {
  readonly securityGroups: SecurityGroups;
  readonly segments: Segments;
  readonly trunks: Trunks;
}

type ById = { Params: { id: string } };

export function recordRoutes(api: Api, { securityGroups, segments, trunks }: RecordRules): void {
  collection(api, groupNoun, securityGroups, '/security-groups');
  collection(
    api,
    ruleNoun,
    {
      ...securityGroups.rules,
      create: (context, fields) =>
        securityGroups.rules.create(
          context,
          required(ruleNoun, fields, ['groupId', 'direction']) as SecurityGroupRuleWish,
        ),
    },
    '/security-group-rules',
  );
  collection(api, segmentNoun, {
    ...segments,
    create: (context, fields) =>
      segments.create(context, required(segmentNoun, fields, ['networkId', 'networkType']) as SegmentFields),
  });
  collection(api, trunkNoun, {
    ...trunks,
    create: (context, fields) => trunks.create(context, required(trunkNoun, fields, ['portId']) as TrunkFields),
  });

  const subPortsIn = (body: unknown) => {
    const given = (body as { sub_ports?: unknown } | undefined)?.sub_ports;
    const converted = Value.Convert(subPortList, given);
    const error = Value.Errors(subPortList, converted)[0];
    if (error) throw invalid('sub_ports', `${JSON.stringify(given)} ${error.message}`);
    return readSubPorts(converted);
  };
  // Neutron's answer here is the trunk itself, not {"trunk": …}.
  api.put<ById>('/trunks/:id/add_subports', async (request) =>
    show(trunkNoun, await trunks.addSubPorts(request.context, request.params.id, subPortsIn(request.body))),
  );
  api.put<ById>('/trunks/:id/remove_subports', async (request) => {
    const ports = subPortsIn(request.body).map(({ portId }) => portId);
    return show(trunkNoun, await trunks.removeSubPorts(request.context, request.params.id, ports));
  });
  api.get<ById>('/trunks/:id/get_subports', async (request) => ({
    sub_ports: showSubPorts(await trunks.find(request.context, request.params.id)),
  }));
}
