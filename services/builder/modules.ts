import { BuildError } from './progress.ts';

/** modules.dep: each module's path below /lib/modules/VERSION with the paths of those it depends on, all of them. */
export type ModuleTable = Map<string, string[]>;

/** Reads modules.dep as depmod writes it. */
export function parseModulesDep(text: string): ModuleTable {
  const table: ModuleTable = new Map();
  for (const line of text.split('\n')) {
    const at = line.indexOf(':');
    if (at < 0) continue;
    const needs = line
      .slice(at + 1)
      .trim()
      .split(' ')
      .filter((each) => each !== '');
    table.set(line.slice(0, at), needs);
  }
  return table;
}

/** A module's name as the kernel knows it: `kernel/drivers/char/hw_random/virtio-rng.ko` is virtio_rng. */
export function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

/**
 * The modules that a profile names, with what they depend on, sorted. A name may be a module (`virtio_net`), a directory below kernel/ (`drivers/ata/`) or one file there
 * (`drivers/net/virtio_net.ko`). One that matches nothing is an error unless it is optional or compiled into the kernel (`builtin`: lines of modules.builtin).
 */
export function selectModules(
  table: ModuleTable,
  wanted: readonly string[],
  optional: ReadonlySet<string>,
  builtin: readonly string[],
): string[] {
  const chosen = new Set<string>();
  const take = (path: string): void => {
    if (chosen.has(path)) return;
    chosen.add(path);
    for (const needed of table.get(path) ?? []) take(needed);
  };
  const paths = [...table.keys()];
  for (const name of wanted) {
    const matches = (path: string): boolean =>
      name.includes('/') ? path.startsWith(`kernel/${name}`) : moduleName(path) === name.replaceAll('-', '_');
    const found = paths.filter(matches);
    if (found.length === 0 && !optional.has(name) && !builtin.some(matches)) {
      throw new BuildError(
        `The kernel has no module "${name}", which the ramdisk's profile asks for: correct the profile, or list it under "optional".`,
      );
    }
    for (const path of found) take(path);
  }
  return [...chosen].sort();
}

/** Modules in the order in which insmod takes them: each after those it depends on. */
export function loadOrder(table: ModuleTable, names: readonly string[]): string[] {
  const order: string[] = [];
  const visit = (path: string): void => {
    if (order.includes(path)) return;
    // modules.dep lists the deepest dependency last.
    for (const needed of [...(table.get(path) ?? [])].reverse()) visit(needed);
    order.push(path);
  };
  for (const name of names) {
    const path = [...table.keys()].find((each) => moduleName(each) === name);
    if (path !== undefined) visit(path);
  }
  return order;
}
