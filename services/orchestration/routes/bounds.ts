/** Bodies that are refused before anything looks into them; a template's own bounds are the language's. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Fault, fault } from '../../core/errors/index.ts';

/** Levels: a template may have 200, and a plan's or an abandoned stack's resources stand in one another. */
const deepest = 500;

/** Whether lists and maps stand in one another more than `most` levels deep; without recursion, which could not tell. */
export function isDeeper(value: unknown, most = deepest): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > most) return true;
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one !== 'object' || one === null) continue;
      for (const inner of Array.isArray(one) ? one : Object.values(one))
        if (typeof inner === 'object' && inner !== null) next.push(inner);
    }
    level = next;
  }
  return false;
}

/** Heat's class and sense for what it would not read. */
const exceeded = (reason: string, remedy: string): Fault =>
  fault('template-invalid', {
    place: '',
    message: `Request limit exceeded: ${reason}`,
    remedy,
    kind: 'RequestLimitExceeded',
  });

/** A hook that runs once the body is there. @throws Fault */
export async function refuseDeepBody({ body }: FastifyRequest): Promise<void> {
  if (isDeeper(body)) throw exceeded(`the body is nested more than ${deepest} levels deep.`, 'Make it flatter.');
}

type Handle = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

/** Heat answers 400 to a body that is too large, and clients know its class; the server below says 413. */
export const refusingLargeBodies =
  (handle: Handle): Handle =>
  (error, request, reply) => {
    const isLarge = (error as { code?: string } | null)?.code === 'FST_ERR_CTP_BODY_TOO_LARGE';
    const { bodyLimit } = request.routeOptions;
    const told = () =>
      exceeded(
        `JSON body size exceeds maximum allowed size (${bodyLimit} bytes).`,
        'Leave out files that the template does not need, or split it into several stacks.',
      );
    handle(isLarge ? told() : error, request, reply);
  };
