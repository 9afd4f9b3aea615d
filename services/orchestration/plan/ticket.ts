/**
 * A plan as a file that can be carried out later, exactly as it was shown. Readable in front, sealed behind: the seal holds
 * the definition (with its secrets) and the fingerprint of what is readable and of what the plan was made for, so that a
 * changed file and a changed stack are both told.
 */
import { createHash } from 'node:crypto';
import { fault } from '../../core/errors/index.ts';
import type { Secrets } from '../../core/secrets.ts';
import type { StackNode } from '../engine/tree.ts';
import type { Definition, Plain } from '../model.ts';
import type { Policy } from './policy.ts';

export const planFormat = 'undercloud-plan-1';
const owner = 'stack plan';

/** What the seal holds. */
export interface Ticket {
  readonly stack: string;
  /** Null: the stack was not there. */
  readonly stack_id: string | null;
  readonly project: string;
  readonly generation: number;
  /** Of the stack and all its resources, as they were. */
  readonly mark: string;
  /** Of the readable part. */
  readonly digest: string;
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
  readonly policy?: Policy;
}

/** The same for the same data, in whatever order its keys stand. */
function canonical(value: Plain): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key] as Plain)}`)
    .join(',')}}`;
}

export const digestOf = (readable: Plain): string => createHash('sha256').update(canonical(readable)).digest('hex');

/** A fingerprint of a stack and of everything in it; it differs once anything has happened to any of it. */
export function markOf(node: StackNode | null): string {
  const hash = createHash('sha256');
  const add = (here: StackNode): void => {
    const { id, generation, action, status } = here.row;
    hash.update(JSON.stringify([id, generation, action, status, here.definition()]));
    const lives = [...here.resources.values(), ...here.retired].sort((a, b) => (a.row.id < b.row.id ? -1 : 1));
    for (const { row, state } of lives)
      hash.update(JSON.stringify([row.id, row.action, row.status, row.generation, row.physical_id, state]));
    for (const child of [...here.children.values()].sort((a, b) => (a.row.id < b.row.id ? -1 : 1))) add(child);
  };
  if (node) add(node);
  return hash.digest('hex');
}

export const sealTicket = (secrets: Secrets, ticket: Ticket): string => secrets.seal(JSON.stringify(ticket), owner);

/** @throws Fault `plan-unreadable`, `plan-tampered` */
export function openTicket(secrets: Secrets, file: Plain | undefined): Ticket {
  if (typeof file !== 'object' || file === null || Array.isArray(file) || file.format !== planFormat)
    throw fault('plan-unreadable', { format: planFormat });
  const { sealed, ...readable } = file;
  let ticket: Ticket;
  try {
    ticket = JSON.parse(secrets.open(String(sealed ?? ''), owner)) as Ticket;
  } catch (error) {
    throw fault('plan-tampered', { what: 'its seal is not of this undercloud' }, error);
  }
  if (digestOf(readable) !== ticket.digest)
    throw fault('plan-tampered', { what: 'what it says is not what was sealed' });
  return ticket;
}
