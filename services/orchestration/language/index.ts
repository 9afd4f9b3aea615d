export { Analysis, type AnalysisInput } from './analysis.ts';
export {
  attributeReferences,
  Call,
  type Facade,
  hasCall,
  type Node,
  OMIT,
  parseNode,
  type ResourceView,
  references,
  resolve,
  resolveNullable,
  type Scope,
  unparse,
  validateNode,
} from './calls.ts';
export { type AttributeSchema, catalogWith, type ResourceType, type TypeCatalog } from './catalog.ts';
export { describeParameter, describeParameters } from './describe.ts';
export { type Environment, environmentFrom, parseEnvironment } from './environment.ts';
export { Fault, type FaultKind, type Path, pathText } from './faults.ts';
export { selectFromAttribute } from './functions/references.ts';
export { Graph } from './graph.ts';
export { parseJson } from './json.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { type Advice, lint } from './lint.ts';
export { childEnvironment, type EnvironmentFile, mergeEnvironments } from './merge.ts';
export { childParameters, facadeOf, nestedAnalysis, validateDeep } from './nested.ts';
export type { Output } from './outputs.ts';
export { Parameter, Parameters, parameterSchemas, type StackIdentity, stackArn } from './parameters.ts';
export { compileSearch, execPattern } from './pattern.ts';
export {
  type PropertyContext,
  type PropertySchema,
  type PropertySchemas,
  PropertySet,
  plainContext,
} from './properties.ts';
export { breakpoints, childRegistry, type Found, findType, registryTree } from './registry.ts';
export { dumps, repr, text } from './render.ts';
export type { Resource } from './resource.ts';
export type { ResourceDefinition } from './resources.ts';
export type { Constraint } from './schema.ts';
export { type Files, StackScope, unknownView, type Views } from './scope.ts';
export { closest, didYouMean } from './suggest.ts';
export { parseTemplate, type Template, templateFrom } from './template.ts';
export { builtInCatalog } from './types/index.ts';
export { type Dict, equal, Float, fromPlain, type Key, type Plain, toPlain, truthy, type Value } from './values.ts';
export { FORMATS, type TemplateFormat } from './versions.ts';
export { locate } from './yaml/load.ts';
export type { Position } from './yaml/position.ts';
