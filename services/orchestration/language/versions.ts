import type { FunctionKind, FunctionTable } from './calls.ts';
import * as collections from './functions/collections.ts';
import * as logic from './functions/logic.ts';
import * as refs from './functions/references.ts';
import * as texts from './functions/texts.ts';
import { MakeUrl } from './functions/url.ts';
import { Yaql } from './functions/yaql.ts';

/**
 * The template formats as data: which sections and keys each has, and exactly the functions that it allows. A version
 * inherits from the one before; what it takes away stays in the table as `Removed`, so that validation can say so.
 */

export interface Sections {
  description: string;
  parameters: string;
  parameterGroups: string | undefined;
  resources: string;
  outputs: string;
  mappings: string | undefined;
  conditions: string | undefined;
}

export interface ResourceKeys {
  type: string;
  properties: string;
  metadata: string;
  dependsOn: string;
  deletionPolicy: string;
  updatePolicy: string;
  description: string;
  externalId: string | undefined;
  condition: string | undefined;
}

export interface ParameterRules {
  /** HOT's constraints list or CFN's keys. */
  style: 'hot' | 'cfn';
  modulo: boolean;
  tags: boolean;
}

export interface TemplateFormat {
  /** Heat's class for it: "HOTemplate20161014". */
  name: string;
  family: 'hot' | 'cfn';
  /** The key that names the version, and its values: dates and release names. */
  versionKey: string;
  versions: readonly string[];
  sections: Sections;
  /** All keys allowed at the top. */
  topKeys: ReadonlySet<string>;
  resource: ResourceKeys;
  output: { value: string; description: string; condition: string | undefined };
  parameters: ParameterRules;
  /** Spellings of deletion policies, and what they mean. */
  deletionPolicies: ReadonlyMap<string, DeletionPolicy>;
  functions: FunctionTable;
  /** In a condition's expression; functions of the template that are missing here are invalid there. */
  conditionFunctions: FunctionTable;
}

export type DeletionPolicy = 'Delete' | 'Retain' | 'Snapshot';

type Changes = Record<string, FunctionKind>;

const removed = (...names: string[]): Changes => Object.fromEntries(names.map((name) => [name, logic.Removed]));
const table = (...changes: Changes[]): FunctionTable => new Map(Object.entries(Object.assign({}, ...changes)));

const HOT_2013: Changes = {
  'Fn::GetAZs': refs.GetAZs,
  get_param: refs.GetParam,
  get_resource: refs.GetResource,
  Ref: refs.Ref,
  get_attr: refs.GetAttThenSelect,
  'Fn::Select': collections.Select,
  'Fn::Join': texts.Join,
  list_join: texts.Join,
  'Fn::Split': texts.Split,
  str_replace: texts.Replace,
  'Fn::Replace': texts.CfnReplace,
  'Fn::Base64': texts.Base64,
  'Fn::MemberListToMap': collections.MemberListToMap,
  resource_facade: refs.ResourceFacade,
  'Fn::ResourceFacade': refs.CfnResourceFacade,
  get_file: refs.GetFile,
};
const HOT_2014: Changes = {
  ...HOT_2013,
  get_attr: refs.GetAtt,
  ...removed('Fn::GetAZs', 'Fn::Join', 'Fn::Split', 'Fn::Replace', 'Fn::Base64', 'Fn::MemberListToMap'),
  ...removed('Fn::ResourceFacade', 'Ref'),
};
const HOT_2015A: Changes = { ...HOT_2014, repeat: collections.Repeat, digest: texts.Digest };
const HOT_2015B: Changes = {
  ...HOT_2015A,
  get_attr: refs.GetAttAllAttributes,
  list_join: texts.JoinMultiple,
  str_replace: texts.ReplaceJson,
  str_split: texts.StrSplit,
  ...removed('Fn::Select'),
};
const HOT_2016A: Changes = { ...HOT_2015B, map_merge: collections.MapMerge };
const HOT_2016B: Changes = {
  ...HOT_2016A,
  repeat: collections.RepeatWithMap,
  yaql: Yaql,
  map_replace: collections.MapReplace,
  if: logic.If,
};
const HOT_2017A: Changes = { ...HOT_2016B, filter: collections.Filter, str_replace_strict: texts.ReplaceJsonStrict };
const HOT_2017B: Changes = {
  ...HOT_2017A,
  repeat: collections.RepeatWithNestedLoop,
  make_url: MakeUrl,
  list_concat: collections.ListConcat,
  str_replace_vstrict: texts.ReplaceJsonVeryStrict,
  list_concat_unique: collections.ListConcatUnique,
  contains: logic.Contains,
};
const HOT_2021: Changes = { ...HOT_2017B, if: logic.IfNullable };

const CONDITIONS_2016: Changes = {
  get_param: refs.GetParam,
  equals: logic.Equals,
  not: logic.Not,
  and: logic.And,
  or: logic.Or,
};
const CONDITIONS_2017: Changes = { ...CONDITIONS_2016, yaql: Yaql, contains: logic.Contains };

const CFN_BASE: Changes = {
  'Fn::FindInMap': refs.FindInMap,
  'Fn::GetAZs': refs.GetAZs,
  Ref: refs.Ref,
  'Fn::GetAtt': refs.CfnGetAtt,
  'Fn::Select': collections.Select,
  'Fn::Join': texts.Join,
  'Fn::Split': texts.Split,
  'Fn::Replace': texts.CfnReplace,
  'Fn::Base64': texts.Base64,
  'Fn::MemberListToMap': collections.MemberListToMap,
  'Fn::ResourceFacade': refs.CfnResourceFacade,
};
const CONDITIONS_CFN: Changes = {
  'Fn::Equals': logic.Equals,
  Ref: { choose: () => refs.ParamRef },
  'Fn::FindInMap': refs.FindInMap,
  'Fn::Not': logic.CfnNot,
  'Fn::And': logic.And,
  'Fn::Or': logic.Or,
};

const POLICIES: [string, DeletionPolicy][] = [
  ['Delete', 'Delete'],
  ['Retain', 'Retain'],
  ['Snapshot', 'Snapshot'],
];
const LOWER_POLICIES: [string, DeletionPolicy][] = [
  ['delete', 'Delete'],
  ['retain', 'Retain'],
  ['snapshot', 'Snapshot'],
];

/** A format's two languages: the template's, and its conditions', where all that is not allowed is invalid. */
function languages(
  functions: Changes,
  conditions: Changes | undefined,
): { functions: FunctionTable; conditionFunctions: FunctionTable } {
  // What a version removed is told as removed in its conditions too, where it has any.
  const invalid = Object.fromEntries(
    Object.entries(functions).map(([name, kind]) => [
      name,
      conditions && kind === logic.Removed ? kind : logic.Invalid,
    ]),
  );
  const conditionFunctions = table(invalid, conditions ?? {});
  return { functions: Object.assign(table(functions), { conditions: conditionFunctions }), conditionFunctions };
}

interface HotVersion {
  versions: string[];
  functions: Changes;
  /** Undefined before 2016-10-14: no conditions section. */
  conditions?: Changes;
  modulo?: boolean;
  tags?: boolean;
}

const HOT_VERSIONS: HotVersion[] = [
  { versions: ['2013-05-23'], functions: HOT_2013 },
  { versions: ['2014-10-16'], functions: HOT_2014 },
  { versions: ['2015-04-30'], functions: HOT_2015A },
  { versions: ['2015-10-15'], functions: HOT_2015B },
  { versions: ['2016-04-08'], functions: HOT_2016A },
  { versions: ['2016-10-14', 'newton'], functions: HOT_2016B, conditions: CONDITIONS_2016 },
  { versions: ['2017-02-24', 'ocata'], functions: HOT_2017A, conditions: CONDITIONS_2016, modulo: true },
  { versions: ['2017-09-01', 'pike'], functions: HOT_2017B, conditions: CONDITIONS_2017, modulo: true },
  { versions: ['2018-03-02', 'queens'], functions: HOT_2017B, conditions: CONDITIONS_2017, modulo: true, tags: true },
  { versions: ['2018-08-31', 'rocky'], functions: HOT_2017B, conditions: CONDITIONS_2017, modulo: true, tags: true },
  { versions: ['2021-04-16', 'wallaby'], functions: HOT_2021, conditions: CONDITIONS_2017, modulo: true, tags: true },
];

function hot({ versions, functions, conditions, modulo = false, tags = false }: HotVersion): TemplateFormat {
  const sections: Sections = {
    description: 'description',
    parameters: 'parameters',
    parameterGroups: 'parameter_groups',
    resources: 'resources',
    outputs: 'outputs',
    mappings: undefined,
    conditions: conditions ? 'conditions' : undefined,
  };
  return {
    name: `HOTemplate${versions[0]!.replaceAll('-', '')}`,
    family: 'hot',
    versionKey: 'heat_template_version',
    versions,
    sections,
    // Heat keeps a placeholder for the mappings that HOT lacks, and takes it for a section.
    topKeys: new Set(['heat_template_version', '__undefined__', ...present(sections)]),
    resource: {
      type: 'type',
      properties: 'properties',
      metadata: 'metadata',
      dependsOn: 'depends_on',
      deletionPolicy: 'deletion_policy',
      updatePolicy: 'update_policy',
      description: 'description',
      externalId: conditions ? 'external_id' : undefined,
      condition: conditions ? 'condition' : undefined,
    },
    output: { value: 'value', description: 'description', condition: conditions ? 'condition' : undefined },
    parameters: { style: 'hot', modulo, tags },
    deletionPolicies: new Map(conditions ? [...POLICIES, ...LOWER_POLICIES] : POLICIES),
    ...languages(functions, conditions),
  };
}

function cfn(
  name: string,
  versionKey: string,
  version: string,
  functions: Changes,
  conditions?: Changes,
): TemplateFormat {
  const sections: Sections = {
    description: 'Description',
    parameters: 'Parameters',
    parameterGroups: undefined,
    resources: 'Resources',
    outputs: 'Outputs',
    mappings: 'Mappings',
    conditions: conditions ? 'Conditions' : undefined,
  };
  return {
    name,
    family: 'cfn',
    versionKey,
    versions: [version],
    sections,
    topKeys: new Set(['AWSTemplateFormatVersion', 'HeatTemplateFormatVersion', ...present(sections)]),
    resource: {
      type: 'Type',
      properties: 'Properties',
      metadata: 'Metadata',
      dependsOn: 'DependsOn',
      deletionPolicy: 'DeletionPolicy',
      updatePolicy: 'UpdatePolicy',
      description: 'Description',
      externalId: undefined,
      condition: conditions ? 'Condition' : undefined,
    },
    output: { value: 'Value', description: 'Description', condition: conditions ? 'Condition' : undefined },
    parameters: { style: 'cfn', modulo: false, tags: false },
    deletionPolicies: new Map(POLICIES),
    ...languages(functions, conditions),
  };
}

function present(sections: Sections): string[] {
  return Object.values(sections).filter((section) => section !== undefined);
}

/** Every template format, oldest first. */
export const FORMATS: readonly TemplateFormat[] = [
  ...HOT_VERSIONS.map(hot),
  cfn('CfnTemplate', 'AWSTemplateFormatVersion', '2010-09-09', { ...CFN_BASE, 'Fn::If': logic.If }, CONDITIONS_CFN),
  cfn('HeatTemplate', 'HeatTemplateFormatVersion', '2012-12-12', CFN_BASE),
];

/** The keys that may name a template's version. */
export const VERSION_KEYS: readonly string[] = [...new Set(FORMATS.map((format) => format.versionKey))];
