/** The resource types that this undercloud makes, one file each. A new one: its file, and a line here. */
import type { Handler, NestedHandler } from '../engine/handler.ts';
import { net } from './net.ts';
import { none } from './none.ts';
import { port } from './port.ts';
import { randomString } from './random-string.ts';
import { resourceGroup } from './resource-group.ts';
import { server } from './server.ts';
import { softwareConfig } from './software-config.ts';
import { softwareDeployment } from './software-deployment.ts';
import { subnet } from './subnet.ts';
import { templateResource } from './template-resource.ts';
import { testResource } from './test-resource.ts';
import { value } from './value.ts';
import { waitCondition } from './wait-condition.ts';
import { updateWaitConditionHandle, waitConditionHandle } from './wait-condition-handle.ts';

const handlers = new Map<string, Handler | NestedHandler>(
  [
    none,
    value,
    randomString,
    testResource,
    resourceGroup,
    softwareConfig,
    softwareDeployment,
    waitCondition,
    waitConditionHandle,
    updateWaitConditionHandle,
    server,
    net,
    subnet,
    port,
  ].map((handler) => [handler.type, handler]),
);

export const isNested = (handler: Handler | NestedHandler): handler is NestedHandler => 'nested' in handler;

/** Undefined for a type that is only parsed and validated. */
export const handlerOf = (type: string): Handler | NestedHandler | undefined =>
  handlers.get(type) ?? (/\.(yaml|template)$/.test(type) ? templateResource : undefined);

export const madeTypes = (): string[] => [...handlers.keys()];
