/** Names that run-parts of diskimage-builder runs; others (editor backups, `.dpkg-new`, anything with a dot) are skipped without a word. */
const HOOK_NAME = /^[0-9A-Za-z_-]+$/;
/** environment.d also takes dots: `10-defaults.bash`. */
const ENVIRONMENT_NAME = /^[0-9A-Za-z_.-]+$/;

/** The number `sort -n` sees at the start of a line: an optional minus, digits, an optional fraction; nothing counts as 0. */
function leadingNumber(name: string): number {
  const match = /^-?\d*(?:\.\d*)?/.exec(name);
  const value = Number(match?.[0] ?? '');
  return Number.isNaN(value) ? 0 : value;
}

/** `LC_ALL=C sort -n`: by leading number, ties by the bytes of the whole name. */
export function compareHooks(a: string, b: string): number {
  const difference = leadingNumber(a) - leadingNumber(b);
  if (difference !== 0) return difference;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The scripts of a hook directory in the order in which they run. The element that brought one plays no part. */
export function orderHooks(names: readonly string[]): string[] {
  return names.filter((name) => HOOK_NAME.test(name)).sort(compareHooks);
}

/** The files of environment.d in the order in which they are sourced. */
export function orderEnvironment(names: readonly string[]): string[] {
  return names.filter((name) => ENVIRONMENT_NAME.test(name)).sort(compareHooks);
}
