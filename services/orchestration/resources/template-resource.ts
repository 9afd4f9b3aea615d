/** A template in a type's place: the engine takes the template and its parameters from the resource itself. */
import { fault } from '../../core/errors/index.ts';
import type { NestedHandler } from '../engine/handler.ts';

export const templateResource: NestedHandler = {
  type: 'template',
  nested: true,
  child({ name }) {
    throw fault('resource-type-parsed-only', { type: name, why: 'its template was not among the files of the stack' });
  },
};
