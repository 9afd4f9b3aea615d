/** What the language knows, told to clients: validation, resource types, template versions and their functions. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { explained } from '../engine/faults.ts';
import {
  compileSearch,
  execPattern,
  type FaultKind,
  FORMATS,
  type PropertySchema,
  type PropertySchemas,
  type ResourceType,
  type TemplateFormat,
} from '../language/index.ts';
import { flag, one, type Query } from './dialect.ts';
import { bodyOf, stackWish } from './wishes.ts';

const schemaOf = (schema: PropertySchema): Record<string, unknown> => ({
  type: schema.type.toLowerCase(),
  ...(schema.description && { description: schema.description }),
  ...(schema.default !== undefined && schema.default !== null && { default: schema.default }),
  ...(schema.schema && { schema: schemasOf(schema.schema) }),
  required: schema.required === true,
  ...(schema.constraints?.length && { constraints: schema.constraints }),
  update_allowed: schema.update_allowed === true,
  immutable: schema.immutable === true,
});

/** What is hidden is understood in old templates, and told to nobody. */
const toldOf = (schemas: PropertySchemas): [name: string, schema: PropertySchema][] =>
  Object.entries(schemas).filter(([, { support }]) => support?.status !== 'HIDDEN');

const schemasOf = (schemas: PropertySchemas): Record<string, unknown> =>
  Object.fromEntries(toldOf(schemas).map(([name, schema]) => [name, schemaOf(schema)]));

/** A property's bounds as a parameter's: a list in HOT, MinValue and its like in CFN. */
function boundsOf({ constraints = [] }: PropertySchema, hot: boolean): Record<string, unknown> {
  if (hot) return constraints.length > 0 ? { constraints } : {};
  const out: Record<string, unknown> = {};
  for (const one of constraints as readonly Record<string, unknown>[]) {
    const { min, max } = (one.range ?? one.length ?? {}) as { min?: number; max?: number };
    const word = one.range ? 'Value' : 'Length';
    if (min !== undefined && min !== null) out[`Min${word}`] = min;
    if (max !== undefined && max !== null) out[`Max${word}`] = max;
    if (one.allowed_values) out.AllowedValues = one.allowed_values;
    if (one.allowed_pattern) out.AllowedPattern = one.allowed_pattern;
  }
  return out;
}

const support = (given: ResourceType['support']) => ({
  status: given?.status ?? 'SUPPORTED',
  message: given?.message ?? null,
  version: given?.version ?? null,
  previous_status: null,
});

const attributesOf = (type: ResourceType): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(type.attributes).map(([name, { description, type: kind }]) => [
      name,
      { ...(description && { description }), ...(kind && { type: kind.toLowerCase() }) },
    ]),
  );

/** A template with one resource of the type, its properties as parameters and its attributes as outputs. */
function exampleOf(type: ResourceType, family: string): Record<string, unknown> {
  const hot = family === 'hot';
  const name = type.name.split('::').at(-1) ?? type.name;
  const words = hot
    ? {
        param: 'get_param',
        attr: 'get_attr',
        type: 'type',
        description: 'description',
        default: 'default',
        value: 'value',
      }
    : {
        param: 'Ref',
        attr: 'Fn::GetAtt',
        type: 'Type',
        description: 'Description',
        default: 'Default',
        value: 'Value',
      };
  const kinds: Record<string, string> = hot
    ? {
        String: 'string',
        Number: 'number',
        Integer: 'number',
        Boolean: 'boolean',
        List: 'comma_delimited_list',
        Map: 'json',
        Any: 'string',
      }
    : {
        String: 'String',
        Number: 'Number',
        Integer: 'Number',
        Boolean: 'Boolean',
        List: 'CommaDelimitedList',
        Map: 'Json',
        Any: 'String',
      };
  const parameters: Record<string, unknown> = {};
  const properties: Record<string, unknown> = {};
  for (const [property, schema] of toldOf(type.properties)) {
    parameters[property] = {
      [words.type]: kinds[schema.type] ?? schema.type,
      ...(schema.description && { [words.description]: schema.description }),
      ...(schema.default !== undefined && schema.default !== null && { [words.default]: schema.default }),
      ...boundsOf(schema, hot),
    };
    const given = { [words.param]: property };
    properties[property] = hot || schema.type !== 'List' ? given : { 'Fn::Split': [',', given] };
  }
  const outputs: Record<string, unknown> = Object.fromEntries(
    Object.entries(type.attributes).map(([attribute, { description }]) => [
      attribute,
      { ...(description && { [words.description]: description }), [words.value]: { [words.attr]: [name, attribute] } },
    ]),
  );
  outputs['OS::stack_id'] = { [words.value]: { [hot ? 'get_resource' : 'Ref']: name } };
  const text = `Initial template of ${name}`;
  return hot
    ? {
        heat_template_version: '2016-10-14',
        description: text,
        parameters,
        resources: { [name]: { type: type.name, properties } },
        outputs,
      }
    : {
        HeatTemplateFormatVersion: '2012-12-12',
        Description: text,
        Parameters: parameters,
        Resources: { [name]: { Type: type.name, Properties: properties } },
        Outputs: outputs,
      };
}

const isDate = (version: string): boolean => /^\d/.test(version);

function versions() {
  return FORMATS.flatMap((format) => {
    const named = format.versions
      .filter((version) => !isDate(version))
      .map((version) => `${format.versionKey}.${version}`);
    return format.versions
      .filter(isDate)
      .map((version) => ({ version: `${format.versionKey}.${version}`, type: format.family, aliases: named }));
  }).sort((a, b) => (a.version < b.version ? -1 : 1));
}

function formatOf(name: string): TemplateFormat {
  const at = name.indexOf('.');
  const format = FORMATS.find(
    (one) => one.versionKey === name.slice(0, at) && one.versions.includes(name.slice(at + 1)),
  );
  if (!format)
    throw fault('template-invalid', {
      place: '',
      message: `Template version ${name} was not found.`,
      remedy: '',
      kind: 'NotFound' as FaultKind,
    });
  return format;
}

/** Those that a pattern is found in. A stranger's pattern is matched in bounded time. @throws Fault `template-invalid` */
function named(names: string[], pattern: string | undefined): string[] {
  if (!pattern) return names;
  try {
    const compiled = compileSearch(pattern);
    return names.filter((name) => execPattern(compiled, name) !== null);
  } catch (thrown) {
    throw explained(thrown);
  }
}

export function templateRoutes(api: Api, desk: Desk): void {
  api.post<{ Querystring: Query }>('/validate', async (request) => {
    const { files = {}, ...wish } = stackWish(bodyOf(request.body));
    const stack = { id: 'None', name: 'None', project_id: request.context.projectId ?? '' };
    // Beside what Heat says: what is valid and hardly meant. Asked for, so that Heat's clients get Heat's answer.
    const wanted = flag(request.query.lint);
    const source = { wish, present: null, files, stack };
    const { body, advice } = await desk.reader.ask('describe', {
      source,
      lint: wanted,
      nested: flag(request.query.show_nested),
    });
    return wanted ? { ...body, Advice: advice } : body;
  });

  api.get<{ Querystring: Query }>('/resource_types', async (request) => {
    const { query } = request;
    const name = one(query.name);
    const wanted = named([...desk.types.names()].sort(), name);
    if (!flag(query.with_description)) return { resource_types: wanted };
    return {
      resource_types: wanted.map((type) => ({
        resource_type: type,
        description: desk.types.type(type)?.description ?? null,
      })),
    };
  });

  const typeNamed = (name: string): ResourceType => {
    const type = desk.types.type(name);
    if (!type) throw fault('resource-type-not-found', { type: name });
    return type;
  };

  api.get<{ Params: { type: string }; Querystring: Query }>('/resource_types/:type', async (request) => {
    const type = typeNamed(request.params.type);
    return {
      resource_type: type.name,
      properties: schemasOf(type.properties),
      attributes: attributesOf(type),
      support_status: support(type.support),
      ...(flag(request.query.with_description) && { description: type.description ?? null }),
    };
  });

  api.get<{ Params: { type: string }; Querystring: Query }>('/resource_types/:type/template', async (request) =>
    exampleOf(typeNamed(request.params.type), one(request.query.template_type) ?? 'cfn'),
  );

  api.get('/template_versions', async () => ({ template_versions: versions() }));

  api.get<{ Params: { version: string }; Querystring: Query }>(
    '/template_versions/:version/functions',
    async (request) => {
      const format = formatOf(request.params.version);
      const names = new Set(format.functions.keys());
      if (flag(request.query.with_condition_func)) for (const name of format.conditionFunctions.keys()) names.add(name);
      return { template_functions: [...names].map((name) => ({ functions: name, description: '' })) };
    },
  );

  api.get('/build_info', async () => ({ api: { revision: 'undercloud' }, engine: { revision: 'undercloud' } }));
  // One engine, in this very process: who reads this lives in what it asks about.
  const started = new Date(desk.house.clock.now());
  const id = randomUUID();
  const moment = (at: Date): string => at.toISOString().replace('Z', '000');
  api.get('/services', async () => ({
    services: [
      {
        id,
        binary: 'heat-engine',
        engine_id: id,
        host: hostname(),
        hostname: hostname(),
        topic: 'engine',
        report_interval: 60,
        created_at: moment(started),
        updated_at: moment(new Date(desk.house.clock.now())),
        deleted_at: null,
        status: 'up',
      },
    ],
  }));
}
