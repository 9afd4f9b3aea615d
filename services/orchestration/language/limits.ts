/** Bounds on what is read. Heat's defaults where it has them; the rest keeps hostile input in bounded time and memory. */
export interface Limits {
  /** Longest template, environment or file, in characters (Heat's max_template_size is 512 KiB; its clients send more in files). */
  characters: number;
  /** Deepest nesting of lists and maps in a text. */
  depth: number;
  /** Most nodes of a text, aliases expanded. */
  nodes: number;
  /** Deepest nesting of stacks (Heat's max_nested_stack_depth is 5; tripleo-heat-templates needs more). */
  stackDepth: number;
  /** Most resources of a stack and all stacks nested in it, which a few small templates can multiply without end. */
  resources: number;
}

export const DEFAULT_LIMITS: Limits = {
  characters: 2 << 20,
  depth: 200,
  nodes: 500_000,
  stackDepth: 10,
  resources: 50_000,
};
