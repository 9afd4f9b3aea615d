/** Bodies of stack requests, read into what the rules take. */
import { fault } from '../../core/errors/index.ts';
import { adoptionFrom } from '../export.ts';
import type { Plain, StackUpdate, StackWish } from '../model.ts';
import { policyFrom } from '../plan/policy.ts';

type Body = { readonly [key: string]: Plain | undefined };

export function bodyOf(body: unknown): Body {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw fault('bad-request', { reason: 'The body has to be a JSON object.' });
  return body as Body;
}

const isMap = (value: unknown): value is { [key: string]: Plain } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function mapOrText(body: Body, name: string): string | { [key: string]: Plain } | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' || isMap(value)) return value;
  throw fault('bad-request', { reason: `"${name}" has to be a map or a text.` });
}

function map(body: Body, name: string): { [key: string]: Plain } | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (isMap(value)) return value;
  throw fault('bad-request', { reason: `"${name}" has to be a map.` });
}

function files(body: Body): { [name: string]: string } | undefined {
  const given = map(body, 'files');
  if (!given) return undefined;
  const out: { [name: string]: string } = {};
  for (const [name, text] of Object.entries(given)) out[name] = typeof text === 'string' ? text : JSON.stringify(text);
  return out;
}

function tags(value: Plain | undefined): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const all = (Array.isArray(value) ? value.map(String) : String(value).split(','))
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  const long = all.find((tag) => tag.length > 80);
  if (long) throw fault('bad-request', { reason: `Invalid tag, "${long}" is longer than 80 characters` });
  return all;
}

function minutes(value: Plain | undefined): number | null | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const whole = Number(value);
  if (!Number.isInteger(whole) || whole < 1 || whole > 10_080)
    throw fault('bad-request', { reason: `timeout_mins has to be 1 to 10080 minutes, not ${JSON.stringify(value)}.` });
  return whole;
}

function truth(value: Plain | undefined, name: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === true || value === 'true' || value === 'True') return true;
  if (value === false || value === 'false' || value === 'False') return false;
  throw fault('bad-request', {
    reason: `Unrecognized value "${String(value)}" for "${name}", acceptable values are: true, false.`,
  });
}

/** Undefined keys are left out: absent and undefined are different things to an update. */
const present = <T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

function common(body: Body) {
  if (body.template_url !== undefined && body.template === undefined)
    throw fault('bad-request', { reason: 'template_url is not fetched by this undercloud: send the template itself.' });
  return present({
    file: typeof body.template_file === 'string' ? body.template_file : undefined,
    environment: mapOrText(body, 'environment'),
    environmentFiles: Array.isArray(body.environment_files) ? body.environment_files.map(String) : undefined,
    parameters: map(body, 'parameters'),
    files: files(body),
    disableRollback: truth(body.disable_rollback, 'disable_rollback'),
    timeoutMinutes: minutes(body.timeout_mins),
    tags: tags(body.tags),
    policy: policyFrom(body.policy),
  });
}

export function stackWish(body: Body): StackWish {
  const template = mapOrText(body, 'template');
  if (template === undefined) throw fault('bad-request', { reason: 'No template specified' });
  return { ...common(body), template } as StackWish;
}

/** PUT replaces, PATCH keeps what it does not name. */
export function stackUpdate(body: Body, existing: boolean): StackUpdate {
  const template = mapOrText(body, 'template');
  if (template === undefined && !existing) throw fault('bad-request', { reason: 'No template specified' });
  const cleared = Array.isArray(body.clear_parameters) ? { clearParameters: body.clear_parameters.map(String) } : {};
  return { ...common(body), ...cleared, ...(template !== undefined && { template }), existing } as StackUpdate;
}

export function stackName(body: Body): string {
  if (typeof body.stack_name !== 'string') throw fault('bad-request', { reason: 'No stack name specified' });
  return body.stack_name;
}

export const startOptions = (body: Body): Pick<StackWish, 'timeoutMinutes' | 'disableRollback'> =>
  present({
    timeoutMinutes: minutes(body.timeout_mins),
    disableRollback: truth(body.disable_rollback, 'disable_rollback'),
  }) as Pick<StackWish, 'timeoutMinutes' | 'disableRollback'>;

/** A stack from what another one was: the template may be given anew, what is adopted comes from the data. */
export function adoptWish(body: Body, data: Plain): StackWish {
  const { template, environment, files, resources } = adoptionFrom(data);
  const own = stackWish({ ...body, template: body.template ?? template });
  const { event_sinks: _none, ...rest } = environment;
  return {
    ...own,
    environment: own.environment ?? rest,
    files: { ...files, ...own.files },
    adopt: { resources },
  };
}
