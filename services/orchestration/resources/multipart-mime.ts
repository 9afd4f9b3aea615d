/** OS::Heat::MultipartMime: several configurations as the parts of one message (RFC 2046, 5.1), for cloud-init. */
import { createHash } from 'node:crypto';
import { fault } from '../../core/errors/index.ts';
import type { Work } from '../engine/handler.ts';
import { openConfig } from '../software/configs.ts';
import * as store from '../store/software.ts';
import { configHandler } from './software-config.ts';

interface Part {
  readonly config: string;
  readonly filename: string | null;
  readonly type: string | null;
  readonly subtype: string | null;
}

/** cloud-init tells what a part is from its first line; without a subtype we say it as it would find it. */
const subtypes: readonly (readonly [start: string, subtype: string])[] = [
  ['#include', 'x-include-url'],
  ['#!', 'x-shellscript'],
  ['#cloud-config', 'cloud-config'],
  ['#upstart-job', 'upstart-job'],
  ['#part-handler', 'part-handler'],
  ['#cloud-boothook', 'cloud-boothook'],
  ['## template: jinja', 'jinja2'],
];
const subtypeOf = (text: string): string => subtypes.find(([start]) => text.startsWith(start))?.[1] ?? 'plain';

/** A part is a text, or the id of a configuration that holds it. */
async function textOf(work: Work, config: string): Promise<string> {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(config)) return config;
  const row = await store.config(work.desk.house.db, config);
  if (!row || row.project_id !== work.stack.projectId) throw fault('config-not-found', { id: config });
  const { config: held } = openConfig(work.desk, row);
  return typeof held === 'string' ? held : JSON.stringify(held);
}

/** The parts of a message that is itself a part: it is opened, so that cloud-init sees one level. */
function inner(text: string): string[] {
  const boundary = /^content-type:\s*multipart\/[^;]+;[\s\S]*?boundary="?([^"\s;]+)"?/im.exec(text)?.[1];
  if (!boundary) return [];
  return text
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => part.replace(/^\r?\n/, '').replace(/\r?\n$/, ''));
}

const encoded = (text: string): string =>
  (
    Buffer.from(text)
      .toString('base64')
      .match(/.{1,76}/g) ?? []
  ).join('\n');
const quoted = (name: string): string => `"${name.replace(/[\r\n]/g, ' ').replace(/["\\]/g, '\\$&')}"`;

function partOf(text: string, part: Part): string {
  const head = [
    `Content-Type: text/${part.subtype ?? subtypeOf(text)}; charset="utf-8"`,
    'MIME-Version: 1.0',
    'Content-Transfer-Encoding: base64',
    ...(part.filename ? [`Content-Disposition: attachment; filename=${quoted(part.filename)}`] : []),
  ];
  return `${head.join('\n')}\n\n${encoded(text)}\n`;
}

export async function message(work: Work): Promise<string> {
  const parts: string[] = [];
  for (const part of (work.properties.parts ?? []) as unknown as Part[]) {
    const text = await textOf(work, part.config);
    if (part.type === 'multipart') parts.push(...inner(text));
    else parts.push(partOf(text, part));
  }
  // From the content, so that the same parts make the same message; a part in base64 cannot hold it.
  const boundary = `===============${createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 19)}==`;
  const body = parts.map((part) => `--${boundary}\n${part}\n`).join('');
  return `Content-Type: multipart/mixed; boundary="${boundary}"\nMIME-Version: 1.0\n\n${body}--${boundary}--\n`;
}

export const multipartMime = configHandler({ type: 'OS::Heat::MultipartMime', config: message });
