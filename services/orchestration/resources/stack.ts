/** OS::Heat::Stack: a template given as a text, laid out as a stack of its own below this one. */
import { fault } from '../../core/errors/index.ts';
import type { NestedHandler } from '../engine/handler.ts';
import { Fault, selectFromAttribute } from '../language/index.ts';
import type { Plain } from '../model.ts';

export const stackResource: NestedHandler = {
  type: 'OS::Heat::Stack',
  nested: true,
  child({ properties, name }) {
    const context = (properties.context ?? {}) as { [key: string]: Plain };
    // Heat would log in to another cloud for it. There is one undercloud here, so what names another one is refused.
    if (context.credential_secret_id)
      throw fault('resource-type-parsed-only', {
        type: 'OS::Heat::Stack',
        why: `${name} names the credentials of another cloud`,
      });
    return {
      template: String(properties.template ?? ''),
      file: `template of ${name}`,
      parameters: (properties.parameters ?? {}) as { [name: string]: Plain },
    };
  },
  attribute({ outputs, stackName }, name, path) {
    if (name === 'stack_name') return stackName;
    if (name === 'outputs') return selectFromAttribute(outputs(), path);
    throw new Fault('InvalidTemplateAttribute', `The Referenced Attribute (${stackName} ${name}) is incorrect.`);
  },
};
