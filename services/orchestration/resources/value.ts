/** OS::Heat::Value: keeps what it is given. */
import { done, type Handler } from '../engine/handler.ts';

export const value: Handler = {
  type: 'OS::Heat::Value',
  named: true,
  create: () => done,
  update: () => done,
  attributes: ({ properties }) => ({ value: properties.value ?? null }),
};
