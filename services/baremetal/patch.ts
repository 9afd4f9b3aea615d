/**
 * JSON patch as Ironic takes it: add, replace and remove only, on listed fields, all or nothing. Pure: a document and
 * operations in, the new document out, or a refusal in Ironic's words.
 */
import { fault } from '../core/errors/index.ts';
import { isSecretName } from './driver-info.ts';
import { maskedSecret } from './store/nodes.ts';

export interface PatchStep {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

const pathPattern = /^(\/[\w-]+)+$/;
const operations = ['add', 'replace', 'remove'];
/** More steps than a client needs for every field of a node. */
const stepsMax = 1_000;

const refuse = (reason: string) => fault('bad-request', { reason });

/** A patch step's value is as secret as the field that its path names. */
const isSecretOf = (whole: object, key: string): boolean =>
  isSecretName(key) || (key === 'value' && 'path' in whole && String(whole.path).split('/').some(isSecretName));

/** Python's way of writing values, because the sentences are Ironic's. Those that are secret by their names are masked: a
 *  refusal is logged, and shown to others than who sent it. */
export function python(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([key, inner]) => `'${key}': ${isSecretOf(value, key) ? `'${maskedSecret}'` : python(inner)}`)
      .join(', ')}}`;
  return String(value);
}

/** @param hidden fields that the request's version does not have. @throws Fault `bad-request` with Ironic's schema errors */
export function readPatch(body: unknown, patchable: readonly string[], hidden: readonly string[] = []): PatchStep[] {
  if (!Array.isArray(body)) throw refuse(`Schema error for patch: ${python(body)} is not of type 'array'`);
  if (body.length > stepsMax)
    throw refuse(`Schema error for patch: ${body.length} operations are more than ${stepsMax}`);
  const steps = body.map((item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      throw refuse(`Schema error for patch: ${python(item)} is not of type 'object'`);
    const { op, path, value, ...others } = item as Record<string, unknown>;
    const [unexpected] = Object.keys(others);
    if (unexpected !== undefined)
      throw refuse(`Schema error for patch: Additional properties are not allowed ('${unexpected}' was unexpected)`);
    if (typeof op !== 'string' || !operations.includes(op))
      throw refuse(`Schema error for patch: ${python(op)} is not one of ['add', 'replace', 'remove']`);
    if (typeof path !== 'string' || !pathPattern.test(path))
      throw refuse(`Schema error for patch: ${python(path)} does not match '^(/[\\\\w-]+)+$'`);
    return { op, path, ...('value' in (item as object) && { value }) } as PatchStep;
  });
  for (const { path, op } of steps) {
    const field = path.split('/')[1] ?? '';
    // Removing what an old client cannot see is no harm, and Ironic lets it.
    if (hidden.includes(field) && op !== 'remove')
      throw Object.assign(refuse('Request not acceptable.'), { status: 406 });
    if (hidden.includes(field)) continue;
    if (!patchable.includes(field))
      throw refuse(`Cannot patch /${field}. Only the following can be updated: ${[...patchable].sort().join(', ')}`);
  }
  return steps;
}

function fail(step: PatchStep, reason: string): never {
  throw refuse(`Couldn't apply patch '${python(step)}'. Reason: ${reason}`);
}

/** Names that would reach behind an object's own keys. */
const forbidden = new Set(['__proto__', 'constructor', 'prototype']);

function applyOne(document: Record<string, unknown>, step: PatchStep): void {
  const parts = step.path.split('/').slice(1);
  const last = parts.pop() as string;
  if ([...parts, last].some((part) => forbidden.has(part))) fail(step, `member '${last}' not found`);
  let at: unknown = document;
  for (const part of parts) {
    const inner: unknown = Array.isArray(at) ? at[Number(part)] : (at as Record<string, unknown>)[part];
    if (typeof inner !== 'object' || inner === null) fail(step, `member '${part}' not found in ${python(at)}`);
    at = inner;
  }
  if (Array.isArray(at)) {
    const index = last === '-' ? at.length : Number(last);
    const most = step.op === 'add' ? at.length : at.length - 1;
    if (!Number.isInteger(index) || index < 0 || index > most)
      fail(step, step.op === 'add' ? "can't insert outside of list" : `can't ${step.op} outside of list`);
    if (step.op === 'add') at.splice(index, 0, step.value);
    else if (step.op === 'replace') at[index] = step.value;
    else at.splice(index, 1);
    return;
  }
  const object = at as Record<string, unknown>;
  if (step.op !== 'add' && !Object.hasOwn(object, last)) fail(step, `can't ${step.op} a non-existent object '${last}'`);
  if (step.op === 'remove') delete object[last];
  else object[last] = step.value ?? null;
}

/** The document is left as it is. Top-level fields that were removed are missing from the result. */
export function applyPatch(document: Record<string, unknown>, steps: readonly PatchStep[]): Record<string, unknown> {
  const result = structuredClone(document);
  for (const step of steps) applyOne(result, step);
  return result;
}
