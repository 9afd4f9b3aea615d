import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { fault } from '../core/errors/index.ts';
import type { Machine } from './machine.ts';
import { isSystemError, reason } from './thrown.ts';

/**
 * The door of the owner of the machines: a unix socket, one line a question, one line an answer (`ok` or `error SENTENCE`).
 *
 *     node-1 set power 1        from ipmi_sim's chassis_control hook; also `boot pxe|default|none`, `reset 1`, `shutdown 1`, `identify 15 0`
 *     node-1 fault loss=0.1     what goes wrong with its BMC from now on, where the BMCs are ours (bmc-faults.ts)
 *     reload                    read lab.json again
 *     ping                      are you there
 *     stop                      power everything off, then end
 */

type Setting = (machine: Machine, value: string) => Promise<void>;

const refuse =
  (what: string): Setting =>
  async (machine, value) => {
    throw fault('lab-setting', { node: machine.node.name, setting: what, value });
  };

const bootDevices: Readonly<Record<string, Setting>> = {
  pxe: (machine) => machine.setBootDevice('pxe'),
  // ipmi_sim's word for the default hard disk.
  default: (machine) => machine.setBootDevice('disk'),
  // No override: the order a machine leaves the factory with, network first.
  none: (machine) => machine.setBootDevice('pxe'),
};

const settings: Readonly<Record<string, Setting>> = {
  power: (machine, value) => (value === '0' ? machine.powerOff() : machine.powerOn()),
  reset: (machine) => machine.reset(),
  shutdown: (machine) => machine.softOff(),
  boot: (machine, value) => (bootDevices[value] ?? refuse('boot device'))(machine, value),
  // The chassis light of a virtual machine.
  identify: async () => {},
};

/** Does what the hook was asked: `NAME VALUE [NAME VALUE ...]`, in order. */
export async function applySettings(machine: Machine, words: readonly string[]): Promise<void> {
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at] ?? '';
    const setting = settings[name];
    if (!setting) throw fault('lab-setting', { node: machine.node.name, setting: 'setting', value: name });
    await setting(machine, words[at + 1] ?? '');
    // `identify SECONDS FORCE` is the one with two values.
    if (name === 'identify') at += 1;
  }
}

/** Answers lines on the unix socket `path` with what `answer` returns for each; a thrown error becomes an `error` line. */
export async function openControl(path: string, answer: (words: string[]) => Promise<void>): Promise<Server> {
  rmSync(path, { force: true });
  // Half open: socat ends its side after the question, and the answer comes later.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => client.destroy());
    const lines = createInterface({ input: client });
    let open = 1;
    const done = () => {
      open -= 1;
      if (open === 0) client.end();
    };
    // readline repeats its input's errors as its own.
    lines.on('error', () => {});
    lines.on('close', done);
    lines.on('line', (line) => {
      open += 1;
      answer(line.trim().split(/\s+/))
        .then(
          () => client.write('ok\n'),
          (thrown: unknown) => client.write(`error ${reason(thrown).replaceAll('\n', ' ')}\n`),
        )
        .finally(done);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

/** Asks the owner one thing. Resolves on `ok`; false when nobody is there; throws the owner's sentence, or when it does not answer in time. */
export function askOwner(path: string, question: string, milliseconds: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let heard = '';
    const finish = (settle: () => void) => {
      socket.removeAllListeners('close');
      socket.destroy();
      settle();
    };
    socket.setTimeout(milliseconds, () =>
      finish(() => reject(fault('lab-owner-late', { question, seconds: milliseconds / 1000 }))),
    );
    socket.on('connect', () => socket.write(`${question}\n`));
    socket.on('data', (data) => {
      heard += data.toString('utf8');
      if (!heard.includes('\n')) return;
      const line = heard.trim();
      finish(() =>
        line === 'ok' ? resolve(true) : reject(fault('lab-owner-refused', { text: line.replace(/^error /, '') })),
      );
    });
    socket.on('error', (thrown) =>
      finish(() =>
        isSystemError(thrown, 'ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE') ? resolve(false) : reject(thrown),
      ),
    );
    socket.on('close', () => resolve(false));
  });
}
