/** OS::Heat::StructuredDeployment: a map, in which `{get_input: NAME}` stands for that input's value. */
import { fault } from '../../core/errors/index.ts';
import type { Plain } from '../model.ts';
import { deploymentHandler, type Input } from './software-deployment.ts';

/** Every map whose only key is `key`, replaced by the input that it names; null where there is none of that name. */
export function withInputs(value: Plain, key: string, inputs: ReadonlyMap<string, Plain>): Plain {
  if (Array.isArray(value)) return value.map((item) => withInputs(item, key, inputs));
  if (typeof value !== 'object' || value === null) return value;
  const [[name, argument] = [], ...more] = Object.entries(value);
  if (name === key && more.length === 0 && typeof argument === 'string') return inputs.get(argument) ?? null;
  return Object.fromEntries(Object.entries(value).map(([each, item]) => [each, withInputs(item, key, inputs)]));
}

/** Names that the map asks for. */
function asked(value: Plain, key: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => asked(item, key));
  if (typeof value !== 'object' || value === null) return [];
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only?.[0] === key && typeof only[1] === 'string') return [only[1]];
  return entries.flatMap(([, item]) => asked(item, key));
}

const valuesOf = (inputs: readonly Input[]) => new Map(inputs.map(({ name, value }) => [name, value]));

export const structuredDeployment = deploymentHandler({
  type: 'OS::Heat::StructuredDeployment',
  derive(config, inputs, { properties, name }) {
    const key = String(properties.input_key ?? 'get_input');
    const values = valuesOf(inputs);
    if (properties.input_values_validate === 'STRICT') {
      const missing = asked(config, key).filter((input) => (values.get(input) ?? '') === '');
      if (missing.length > 0) throw fault('deployment-input-missing', { resource: name, inputs: missing.join(', ') });
    }
    return withInputs(config, key, values);
  },
});
