/** The tokens of YAML 1.1 (PyYAML's names in kebab case). */
export type TokenKind =
  | 'stream-end'
  | 'directive'
  | 'document-start'
  | 'document-end'
  | 'block-sequence-start'
  | 'block-mapping-start'
  | 'block-end'
  | 'flow-sequence-start'
  | 'flow-mapping-start'
  | 'flow-sequence-end'
  | 'flow-mapping-end'
  | 'block-entry'
  | 'flow-entry'
  | 'key'
  | 'value'
  | 'alias'
  | 'anchor'
  | 'tag'
  | 'scalar';

export interface Token {
  kind: TokenKind;
  /** Character offset of the first character. */
  offset: number;
  /** The text of a scalar, the name of an anchor, alias or directive, the suffix of a tag. */
  text: string;
  /** The handle of a tag ("!!"); null for a verbatim one. For a scalar, undefined. */
  handle?: string | null;
  /** Whether a scalar was written without quotes or block indicator: only these get an implicit type. */
  plain: boolean;
}

export function token(kind: TokenKind, offset: number, text = '', plain = false): Token {
  return { kind, offset, text, plain };
}

/** Characters by code; NaN (beyond the end) is none of them. */
export const isBreak = (code: number): boolean =>
  code === 10 || code === 13 || code === 0x85 || code === 0x2028 || code === 0x2029;
export const isBlank = (code: number): boolean => code === 32 || code === 9;
/** Blank, line break, or the end of the text. */
export const isGap = (code: number): boolean => code === 32 || code === 9 || Number.isNaN(code) || isBreak(code);
