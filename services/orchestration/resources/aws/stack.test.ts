import { expect, it } from 'vitest';
import { atRest, stage } from '../../../../test/setup/stacks.ts';
import { createWorld } from '../../../../test/setup/world.ts';

const inner = JSON.stringify({
  AWSTemplateFormatVersion: '2010-09-09',
  Parameters: { Length: { Type: 'Number' } },
  Resources: { R: { Type: 'OS::Heat::RandomString', Properties: { length: { Ref: 'Length' } } } },
  Outputs: { Text: { Value: { 'Fn::GetAtt': ['R', 'value'] } } },
});
const outer = (length: string) => ({
  AWSTemplateFormatVersion: '2010-09-09',
  Resources: {
    Nested: {
      Type: 'AWS::CloudFormation::Stack',
      Properties: { TemplateURL: 'https://example.org/inner.template', Parameters: { Length: length } },
    },
  },
  Outputs: { Text: { Value: { 'Fn::GetAtt': ['Nested', 'Outputs.Text'] } } },
});

it('is laid out from the files of the request, updated, and its outputs read; a URL is never fetched', async () => {
  const world = await createWorld();
  const { orchestration } = stage(world);
  const { context } = world;
  await world.operations.run({ sole: true });
  await orchestration.start();
  await expect(orchestration.createStack(context, 's', { template: outer('8') })).rejects.toThrow(
    /The template https:\/\/example.org\/inner.template of Nested was not among the files of the stack/,
  );
  const files = { 'https://example.org/inner.template': inner };
  const { id } = await orchestration.createStack(context, 's', { template: outer('8'), files });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  const text = async () => String((await orchestration.outputs(context, 's'))[0]?.output_value);
  expect(await text()).toHaveLength(8);
  await orchestration.updateStack(context, 's', { template: outer('11'), files });
  expect(await atRest(world, orchestration, 's')).toBe('UPDATE_COMPLETE');
  expect(await text()).toHaveLength(11);
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
});
