/** OS::Heat::None: nothing, whatever is asked of it. */
import { done, type Handler } from '../engine/handler.ts';

export const none: Handler = {
  type: 'OS::Heat::None',
  named: true,
  create: () => done,
  update: () => done,
  attributes: () => ({}),
};
