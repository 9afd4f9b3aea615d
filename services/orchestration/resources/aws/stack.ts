/** AWS::CloudFormation::Stack: a template of its own below this one. */
import type { NestedHandler } from '../../engine/handler.ts';
import { Fault, selectFromAttribute } from '../../language/index.ts';
import type { Plain } from '../../model.ts';

const outputPrefix = 'Outputs.';

export const awsStack: NestedHandler = {
  type: 'AWS::CloudFormation::Stack',
  nested: true,
  child({ properties, name, file }) {
    const url = String(properties.TemplateURL ?? '');
    const template = file(url);
    // Heat would fetch it, from whatever its host can reach: the cloud's own metadata service, the provisioning network.
    if (template === undefined)
      throw new Fault(
        'StackValidationFailed',
        `The template ${url} of ${name} was not among the files of the stack. Templates are not fetched from URLs here: send its text in the request's files, under the name that TemplateURL has.`,
      );
    return { template, file: url, parameters: (properties.Parameters ?? {}) as { [name: string]: Plain } };
  },
  attribute({ outputs, stackName }, name, path) {
    if (name.startsWith(outputPrefix)) {
      const value = outputs().get(name.slice(outputPrefix.length));
      if (value !== undefined) return selectFromAttribute(value, path);
    }
    throw new Fault('InvalidTemplateAttribute', `The Referenced Attribute (${stackName} ${name}) is incorrect.`);
  },
};
