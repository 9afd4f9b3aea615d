import { expect, it } from 'vitest';
import { demandTest } from './tested-image.ts';

const asked = { name: 'web', hints: {}, specs: {}, image: { id: 'i', name: 'lab', properties: {} } };
const tested = (test_result: string) => ({ ...asked.image, properties: { test_result } });

it.each([
  asked,
  { ...asked, hints: { tested_image: 'false' }, specs: { 'undercloud:tested_image': 'true' } },
  { ...asked, hints: { tested_image: 'true' }, image: tested('passed') },
])('lets a server have its image: %j', (each) => {
  expect(() => demandTest(each)).not.toThrow();
});

it.each([
  [
    { ...asked, hints: { tested_image: 'true' } },
    /hint tested_image .*web wants a tested image, and image lab has not been tested/,
  ],
  [
    { ...asked, specs: { 'undercloud:tested_image': 'true' }, image: tested('failed') },
    /flavor’s extra spec undercloud:tested_image .* image lab failed its test/,
  ],
])('refuses one that has not passed where that is asked for: %j', (each, sentence) => {
  expect(() => demandTest(each)).toThrow(sentence);
});
