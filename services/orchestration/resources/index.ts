/** The resource types that this undercloud makes, one file each. A new one: its file, and a line here. */
import type { Handler, NestedHandler } from '../engine/handler.ts';
import { accessPolicy } from './access-policy.ts';
import { autoScalingGroup } from './auto-scaling-group.ts';
import { awsAutoScalingGroup, instanceGroup, launchConfiguration } from './aws/auto-scaling.ts';
import { iamAccessKey, iamUser } from './aws/iam.ts';
import { awsInstance } from './aws/instance.ts';
import { awsSecurityGroup } from './aws/security-group.ts';
import { awsStack } from './aws/stack.ts';
import { awsWaitCondition, awsWaitConditionHandle } from './aws/wait-condition.ts';
import { cloudConfig } from './cloud-config.ts';
import { container } from './container.ts';
import { delay } from './delay.ts';
import { deployedServer } from './deployed-server.ts';
import { deploymentGroups } from './deployment-group.ts';
import { flavor } from './flavor.ts';
import { keyPair } from './key-pair.ts';
import { project } from './keystone/project.ts';
import { role } from './keystone/role.ts';
import { user } from './keystone/user.ts';
import { userRoleAssignment } from './keystone/user-role-assignment.ts';
import { multipartMime } from './multipart-mime.ts';
import { net } from './net.ts';
import { nodePort } from './node-port.ts';
import { none } from './none.ts';
import { port } from './port.ts';
import { randomString } from './random-string.ts';
import { resourceChain } from './resource-chain.ts';
import { resourceGroup } from './resource-group.ts';
import { awsScalingPolicy, scalingPolicy } from './scaling-policy.ts';
import { securityGroup } from './security-group.ts';
import { securityGroupRule } from './security-group-rule.ts';
import { segment } from './segment.ts';
import { server } from './server.ts';
import { serverGroup } from './server-group.ts';
import { softwareComponent } from './software-component.ts';
import { softwareConfig } from './software-config.ts';
import { softwareDeployment } from './software-deployment.ts';
import { stackResource } from './stack.ts';
import { structuredConfig } from './structured-config.ts';
import { structuredDeployment } from './structured-deployment.ts';
import { subnet } from './subnet.ts';
import { swiftSignal, swiftSignalHandle } from './swift-signal.ts';
import { templateResource } from './template-resource.ts';
import { testResource } from './test-resource.ts';
import { trunk } from './trunk.ts';
import { value } from './value.ts';
import { waitCondition } from './wait-condition.ts';
import { updateWaitConditionHandle, waitConditionHandle } from './wait-condition-handle.ts';
import { webImage } from './web-image.ts';

const handlers = new Map<string, Handler | NestedHandler>(
  [
    none,
    value,
    randomString,
    testResource,
    resourceGroup,
    resourceChain,
    autoScalingGroup,
    scalingPolicy,
    awsScalingPolicy,
    awsAutoScalingGroup,
    instanceGroup,
    launchConfiguration,
    awsInstance,
    awsWaitConditionHandle,
    awsWaitCondition,
    stackResource,
    softwareConfig,
    softwareComponent,
    structuredConfig,
    cloudConfig,
    multipartMime,
    softwareDeployment,
    structuredDeployment,
    ...deploymentGroups,
    waitCondition,
    waitConditionHandle,
    updateWaitConditionHandle,
    swiftSignalHandle,
    swiftSignal,
    server,
    deployedServer,
    delay,
    keyPair,
    flavor,
    serverGroup,
    project,
    user,
    role,
    userRoleAssignment,
    webImage,
    net,
    subnet,
    port,
    securityGroup,
    securityGroupRule,
    segment,
    trunk,
    awsSecurityGroup,
    nodePort,
    awsStack,
    container,
    accessPolicy,
    iamUser,
    iamAccessKey,
  ].map((handler) => [handler.type, handler]),
);

export const isNested = (handler: Handler | NestedHandler): handler is NestedHandler => 'nested' in handler;

/** Undefined for a type that is only parsed and validated. */
export const handlerOf = (type: string): Handler | NestedHandler | undefined =>
  handlers.get(type) ?? (/\.(yaml|template)$/.test(type) ? templateResource : undefined);

export const madeTypes = (): string[] => [...handlers.keys()];
