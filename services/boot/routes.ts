/**
 * Plain HTTP for firmware on the provisioning listener: scripts, kernels, ramdisks, loaders. One route takes every path,
 * because firmware writes them its own way: shim asks for `//grubx64.efi`, and waits 6 s for each 404 without a body.
 */
import { timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fault } from '../core/errors/index.ts';
import { errorsAs, type Routes } from '../core/http/index.ts';
import type { Board } from './board.ts';
import { answerFile, type Served } from './file-answer.ts';
import type { Ladder } from './ladder.ts';
import { loaderFiles, type Wish } from './model.ts';
import { neighbourMac } from './neighbour.ts';
import type { BootRecord } from './record.ts';
import { agentScript, diskScript } from './script.ts';

export interface RoutesDeps {
  readonly wishOf: (mac: string) => Promise<Wish | null>;
  readonly ladder: Ladder;
  /** Absent until the service has started. */
  readonly live: () => { readonly board: Board; readonly record: BootRecord } | null;
  readonly bootDir: string;
  /** Where the profile's kernel and ramdisk lie. */
  readonly ramdiskDir: () => Promise<string>;
  readonly httpBase: string;
  readonly trust: Served;
  /** Of the ramdisk, for this machine. */
  readonly argumentsOf: (wish: Wish) => readonly (readonly [string, string | null])[];
  readonly neighbour?: (ip: string) => Promise<string | null>;
  /** ms without a byte taken after which a client is gone. */
  readonly goneAfterMs?: number;
}

const loaders = new Set<string>(loaderFiles);
const script = (text: string): Served => ({
  bytes: Buffer.from(text),
  type: 'text/plain; charset=utf-8',
  // Made anew for each request: the time is in it.
  etag: `"${Date.now().toString(36)}"`,
});
const binary = (file: string): Served => ({ file, type: 'application/octet-stream' });

export function createRoutes(deps: RoutesDeps): Routes {
  const { wishOf, live, httpBase } = deps;
  const neighbour = deps.neighbour ?? neighbourMac;

  /** The boot that a token stands for, if it is this caller's. @throws Fault `boot-token-unknown` */
  async function bootOf(token: string, caller: string, file: string): Promise<Wish> {
    const { board, record } = live() ?? {};
    const refuse = (reason: string) => {
      record?.refused(board?.nodeAt(caller) ?? null, caller, file, reason);
      return fault('boot-token-unknown', { reason });
    };
    await board?.meet(caller);
    const mac = board?.macAt(caller);
    if (!mac) throw refuse(`${caller} is no address that was given to a machine here`);
    const seen = await neighbour(caller).catch(() => null);
    if (seen !== null && seen !== mac) throw refuse(`${caller} belongs to ${mac}, but ${seen} is using it`);
    const wish = await wishOf(mac);
    if (!wish?.token || !same(wish.token, token))
      throw refuse(`it is not that of ${mac}, or an agent has started with it already`);
    return wish;
  }

  async function served(parts: readonly string[], caller: string): Promise<Served> {
    const [room, first = '', second = ''] = parts;
    if (room !== 'boot' || parts.length !== 3) throw missing(parts.join('/'));
    if (first === 'loader') {
      if (!loaders.has(second)) throw missing(second);
      return binary(join(deps.bootDir, second));
    }
    if (first === 'disk' && second === 'script.ipxe') return script(diskScript(`${httpBase}/boot/loader/disk.efi`));
    const wish = await bootOf(first, caller, second);
    switch (second) {
      case 'script.ipxe':
        deps.ladder.arrived(wish.mac);
        return script(scriptFor(first, wish));
      case 'kernel':
      case 'ramdisk':
        return binary(join(await deps.ramdiskDir(), second));
      case 'trust.cpio':
        return deps.trust;
      default:
        throw missing(second);
    }
  }

  function scriptFor(token: string, wish: Wish): string {
    const base = `${httpBase}/boot/${token}`;
    return agentScript({
      name: wish.name,
      reason: wish.reason,
      kernelUrl: `${base}/kernel`,
      ramdiskUrl: `${base}/ramdisk`,
      trustUrl: `${base}/trust.cpio`,
      kernelArguments: deps.argumentsOf(wish),
    });
  }

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const caller = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const parts = partsOf(request.url);
    const file = shown(parts);
    const what = await served(parts, caller);
    const { board, record } = live() ?? {};
    const mac = board?.macAt(caller);
    // After a restart the machine is known by its address alone until it is looked up.
    if (board && mac && board.nodeOf(mac) === null) await board.prepare(mac);
    const node = board?.nodeAt(caller) ?? null;
    try {
      return await answerFile(
        request,
        reply,
        what,
        {
          onProgress: (bytes, size) => record?.progress(node, mac ?? null, file, bytes, size),
          onEnd: (sent) => record?.fetched(node, mac ?? null, request.method, file, sent),
        },
        deps.goneAfterMs,
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // It was told to fetch this, so it will get no further: its silence is to be explained by it.
      if (mac) record?.refused(node, caller, file, `${file} does not exist here`);
      throw missing(file);
    }
  }

  return (api) => {
    // A body always, and of text: consoles of firmware show it.
    api.setErrorHandler(errorsAs((error) => `${error.message}\n`, { 'content-type': 'text/plain; charset=utf-8' }));
    api.route({ method: ['GET', 'HEAD'], url: '/*', handler: answer });
  };
}

/** The path's names, whatever slashes are between them. @throws Fault `boot-file-missing` for what cannot be a path here */
function partsOf(url: string): string[] {
  const path = url.split('?')[0] ?? '';
  try {
    const parts = path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
    if (parts.every((part) => part !== '..' && part !== '.' && !/[/\\\0]/.test(part))) return parts;
  } catch {
    // A % that introduces nothing.
  }
  throw missing(path);
}

/** For people and events: tokens are left out. */
function shown(parts: readonly string[]): string {
  const [room, first, last] = parts;
  if (room === 'boot' && parts.length === 3) return first === 'disk' ? 'the disk script' : String(last);
  return parts.join('/');
}

const missing = (file: string) =>
  fault('boot-file-missing', {
    file: file.slice(0, 200),
    remedy: /^(kernel|ramdisk)$/.test(file)
      ? 'Build the deploy ramdisk: `undercloud bootstrap` does it with a provisioning interface or --lab.'
      : loaders.has(file)
        ? 'Run `undercloud bootstrap` again; it puts the loaders there.'
        : '',
  });

export function same(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
