/**
 * Errors in Glance's two shapes. WebOb, which Glance answers with, gives JSON to whoever asks for JSON and a page to everybody else; and
 * python-glanceclient, which never asks, can read the page alone: an error in this JSON ends it with an AttributeError of its own
 * (glanceclient/exc.py, from_response). Whoever neither asks for pages nor is that client gets JSON too.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Fault } from '../../core/errors/index.ts';
import { errorsAs } from '../../core/http/index.ts';

const asJson = errorsAs((error: Fault) => ({ message: error.message, code: error.status, title: error.code }));
const asPage = errorsAs(
  (error: Fault) => {
    const title = `${error.status} ${escaped(error.code)}`;
    return `<html>\n <head>\n  <title>${title}</title>\n </head>\n <body>\n  <h1>${title}</h1>\n  ${escaped(error.message)}\n </body>\n</html>\n`;
  },
  { 'content-type': 'text/html; charset=UTF-8' },
);

export function glanceErrors(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { accept = '', 'user-agent': agent = '' } = request.headers;
  const isPage = !accept.includes('json') && (agent.startsWith('python-glanceclient') || accept.includes('text/html'));
  (isPage ? asPage : asJson)(error, request, reply);
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
const escaped = (text: string): string => text.replace(/[&<>]/g, (sign) => entities[sign] ?? '');
