/** OS::Heat::SoftwareDeploymentGroup and its kin: one deployment for each of the named servers, as a stack of their own. */
import type { NestedHandler } from '../engine/handler.ts';
import type { Properties } from '../engine/state.ts';
import { selectFromAttribute } from '../language/index.ts';
import type { Plain } from '../model.ts';

/** The group's attribute by that of its members. */
const collected: Readonly<Record<string, string>> = {
  deploy_stdouts: 'deploy_stdout',
  deploy_stderrs: 'deploy_stderr',
  deploy_status_codes: 'deploy_status_code',
};

function deploymentsOf(member: string, properties: Properties): { [name: string]: Plain } {
  const { servers, ...shared } = properties;
  const given = Object.fromEntries(Object.entries(shared).filter(([, value]) => value !== null && value !== undefined));
  return Object.fromEntries(
    Object.entries((servers ?? {}) as { [name: string]: Plain }).map(([name, server]) => [
      name,
      { type: member, properties: { ...given, server } as { [key: string]: Plain } },
    ]),
  );
}

const group = (type: string, member: string): NestedHandler => ({
  type,
  nested: true,
  child: ({ properties }) => ({
    template: { heat_template_version: '2015-04-30', resources: deploymentsOf(member, properties) },
    file: 'deployment group',
    parameters: {},
  }),
  // Heat maps the outputs by the names that the servers were given.
  attribute: ({ members }, name, path) =>
    selectFromAttribute(
      new Map(members.map((member) => [member.name, member.attribute(collected[name] ?? name, [])])),
      path,
    ),
});

export const deploymentGroups: readonly NestedHandler[] = [
  group('OS::Heat::SoftwareDeploymentGroup', 'OS::Heat::SoftwareDeployment'),
  group('OS::Heat::SoftwareDeployments', 'OS::Heat::SoftwareDeployment'),
  group('OS::Heat::StructuredDeploymentGroup', 'OS::Heat::StructuredDeployment'),
  group('OS::Heat::StructuredDeployments', 'OS::Heat::StructuredDeployment'),
];
