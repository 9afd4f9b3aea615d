/** What each kind of event is in words, one row a kind. An event that carries its own sentence (`text`) is told by that. */
import type { EventKind, EventMap } from '../core/events/index.ts';
import { bytes, duration } from './output.ts';

type Sentences = { readonly [K in EventKind]?: (data: EventMap[K]) => string };

const times = (n: number, what: string): string => (n === 1 ? '' : `, ${n} ${what}`);
const because = (reason: string | null | undefined): string => (reason ? `: ${reason}` : '');

/** For `node console NODE --log --from OFFSET`. */
const consolePlace = (offset: number | null): string => (offset === null ? '' : ` (log offset ${offset})`);

export const eventSentences: Sentences = {
  'node.created': (e) => `enrolled with driver ${e.driver}`,
  'node.updated': (e) => `changed: ${e.fields.join(', ')}`,
  'node.deleted': (e) => `deleted${because(e.reason)}`,
  'node.provision-state': (e) => `${e.from} → ${e.to} (${e.event})`,
  'node.power-state': (e) => `power ${e.to}${e.from === null ? '' : `, was ${e.from}`}`,
  'node.maintenance': (e) => `maintenance ${e.on ? 'on' : 'off'}${because(e.reason)}`,
  'node.bmc-checked': (e) =>
    `BMC examined (${e.vendor} ${e.model}, firmware ${e.firmware}): ${e.wrong.length === 0 ? 'nothing is wrong with it' : e.wrong.join('; ')}`,
  'node.bmc-password': (e) => `the user ${e.user || '(empty)'} has a new password on the BMC, proven by a log-in`,
  'node.boot-device': (e) => `boot device set to ${e.device}${e.persistent ? ' for good' : ' for the next boot'}`,
  'node.boot-intent': (e) => `boots ${e.intent} from now on: ${e.reason}`,
  'node.boot-override': (e) => `${e.text}. ${e.remedy}`,
  'node.boot-retry': (e) => `reset to boot once more (${e.attempt} of ${e.of}): ${e.because}`,
  'node.claimed': (e) => `given to server ${e.server}`,
  'node.released': (e) => `free again${e.server === null ? '' : `, was server ${e.server}'s`}`,
  'node.agent-refused': (e) => `no boot token for ${e.mac}: ${e.reason}`,
  'node.agent-lookup': (e) => `the agent found its node by ${e.by}`,
  'node.agent-heartbeat': (e) =>
    `${e.first ? 'first heartbeat of the agent' : 'heartbeat'}${e.first && e.version ? ` ${e.version}` : ''}${
      e.first && e.clockSkewSeconds
        ? `, its clock was ${Math.abs(e.clockSkewSeconds)} s ${e.clockSkewSeconds > 0 ? 'ahead' : 'behind'}`
        : ''
    }`,
  'node.agent-command': (e) => `agent: ${e.command} ${e.status.toLowerCase()}${because(e.error)}`,
  'node.image-written': (e) =>
    `image written: ${bytes(e.written)} written, ${bytes(e.skipped)} on the disk already, ${bytes(e.fetched)} from the store${e.neighbours ? `, ${bytes(e.neighbours)} from neighbours` : ''}${e.resumed ? `; ${e.resumed} broken ${e.resumed === 1 ? 'connection' : 'connections'} resumed` : ''}`,
  'node.agent-gone': (e) => `the agent is gone: ${e.reason}`,
  'node.console': (e) =>
    `console ${e.state}${e.by === null ? '' : ` by ${e.by}`}${because(e.reason)}${consolePlace(e.offset)}`,
  'node.console-writer': (e) =>
    e.who === null
      ? `nobody types at the console${e.from === null ? '' : `; ${e.from} did`}`
      : `${e.who} types at the console${e.from === null ? '' : `, after ${e.from}`}`,
  'node.console-milestone': (e) =>
    `console: ${e.milestone}${e.level === 'fault' ? ' (fault)' : ''}: ${e.line}${consolePlace(e.offset)}`,
  'node.inspected': (e) =>
    `inspected: ${e.cpus ?? '?'} CPUs, ${e.memoryMb ?? '?'} MB memory, ${e.localGb ?? '?'} GB disk, ${e.interfaces} network interfaces`,
  'bmc.command': (e) => `BMC ${e.bmc}: ${e.command}${times(e.attempts, 'tries')}${because(e.error)}`,
  'operation.started': (e) => `${e.kind} begins`,
  'operation.step': (e) => e.title,
  'operation.waiting': (e) =>
    `waits for ${e.on}${e.usualSeconds === null ? '' : ` (usually ${duration(e.usualSeconds * 1000)})`}`,
  'operation.retry': (e) => `try ${e.attempt} of ${e.step} failed: ${e.reason}`,
  'operation.succeeded': (e) => `${e.kind} done`,
  'operation.failed': (e) => `${e.kind} failed at ${e.step}: ${e.reason}${e.remedy ? ` ${e.remedy}` : ''}`,
  'operation.undone': (e) => `${e.step} taken back`,
  'operation.resumed': (e) => `${e.kind} taken up again at ${e.step} by ${e.owner}`,
  'service.started': (e) => `undercloud ${e.version} started (process ${e.pid})`,
  'service.stopped': (e) => `undercloud stopped${because(e.reason)}`,
  'http.progress': (e) => `${e.file}: ${bytes(e.bytes)} of ${bytes(e.size)}`,
  'network.port-bound': (e) => `port ${e.port} on ${e.mac}: ${e.addresses.join(', ')}`,
  'network.port-unbound': (e) => `port ${e.port} taken off ${e.mac}`,
  'network.address-kept': (e) => `${e.address} is kept for ${e.mac}`,
  'image.created': (e) => `image ${e.name ?? ''} made`,
  'image.active': (e) => `image ${e.name ?? ''} has its ${e.size} bytes`,
  'image.not-converted': (e) => `not converted to a raw disk: ${e.reason} ${e.remedy}`,
  'image.import-failed': (e) => `not imported: ${e.reason} ${e.remedy}`,
  'image.collected': (e) => `removed ${e.blobs} blobs that nothing named, ${e.bytes} bytes`,
  'image.deleted': (e) => `image ${e.name ?? ''} deleted`,
  'server.created': (e) => `server ${e.name} wanted: image ${e.image}, flavor ${e.flavor}`,
  'server.status': (e) => `${e.from} → ${e.to}${e.task ? `, ${e.task}` : ''}${e.node ? ` on node ${e.node}` : ''}`,
  'server.deleted': (e) => `server ${e.name} deleted`,
  'server.metadata': (e) => `${e.address} read its metadata ${e.path}${e.status === 200 ? '' : `: ${e.status}`}`,
};

export interface TimelineEvent {
  readonly id: number;
  readonly at: string;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly duration_ms: number | null;
  readonly cause: string | null;
}

/** Never throws: an event of another release may have other fields. */
export function eventSentence(kind: string, data: Readonly<Record<string, unknown>>): string {
  if (typeof data.text === 'string') return data.text;
  const sentence = eventSentences[kind as EventKind] as ((data: unknown) => string) | undefined;
  try {
    const words = sentence?.(data);
    if (words !== undefined && !words.includes('undefined')) return words;
  } catch {
    // Told by its fields, below.
  }
  const pairs = Object.entries(data).map(([key, value]) => `${key}=${plain(value)}`);
  return [kind, ...pairs].join(' ');
}

const plain = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
