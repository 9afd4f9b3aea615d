import { Fault } from './faults.ts';

/** Which resource needs which: the order in which a stack is made, and unmade. */
export class Graph {
  private readonly needs = new Map<string, Set<string>>();
  private readonly neededBy = new Map<string, Set<string>>();

  /** Makes sure that the node is there. */
  add(name: string): void {
    if (this.needs.has(name)) return;
    this.needs.set(name, new Set());
    this.neededBy.set(name, new Set());
  }

  /** `name` needs `required` to be complete first. */
  require(name: string, required: string): void {
    this.add(name);
    this.add(required);
    this.needs.get(name)!.add(required);
    this.neededBy.get(required)!.add(name);
  }

  get names(): Iterable<string> {
    return this.needs.keys();
  }

  /** What `name` needs directly. */
  required(name: string): ReadonlySet<string> {
    return this.needs.get(name) ?? new Set();
  }

  /** What needs `name` directly. */
  requiredBy(name: string): ReadonlySet<string> {
    return this.neededBy.get(name) ?? new Set();
  }

  /** [resource, required] pairs. */
  edges(): [string, string][] {
    return [...this.needs].flatMap(([name, required]) => [...required].map((other): [string, string] => [name, other]));
  }

  /**
   * Calls `visit` with each name after all that it needs. Throws CircularDependencyException, with one circle named in
   * full, once only circles remain (what could be visited has been by then).
   */
  visit(visit: (name: string) => void): void {
    const open = new Map([...this.needs].map(([name, required]) => [name, required.size]));
    const ready = [...open].filter(([, count]) => count === 0).map(([name]) => name);
    for (let i = 0; i < ready.length; i++) {
      const name = ready[i]!;
      visit(name);
      open.delete(name);
      for (const other of this.requiredBy(name)) {
        const left = open.get(other)! - 1;
        open.set(other, left);
        if (left === 0) ready.push(other);
      }
    }
    if (open.size > 0) {
      const circle = this.circle(open);
      throw new Fault('CircularDependencyException', `Circular Dependency Found: ${circle.join(' -> ')}`, {
        path: [circle[0]!],
      });
    }
  }

  /** The names in an order that puts each after what it needs. Throws CircularDependencyException. */
  order(): string[] {
    const out: string[] = [];
    this.visit((name) => out.push(name));
    return out;
  }

  private circle(open: ReadonlyMap<string, number>): string[] {
    // Every open node needs another open one, so walking on must come back to where it was.
    const path: string[] = [];
    const at = new Map<string, number>();
    let here = open.keys().next().value!;
    while (!at.has(here)) {
      at.set(here, path.length);
      path.push(here);
      here = [...this.required(here)].find((name) => open.has(name))!;
    }
    return [...path.slice(at.get(here)), here];
  }
}
