import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { labLayout, type NodeLayout } from './layout.ts';
import { solPort } from './qemu.ts';
import { SerialLine, tail } from './serial.ts';

// An index that no lab of this machine's namespace uses: the SOL port is on the shared loopback here.
const index = 111;
let directory: string;
let layout: NodeLayout;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'uc-lab-serial-'));
  layout = { ...labLayout(directory).node('node-111') };
  for (const key of ['serial', 'console', 'consoleLog'] as const) layout[key] = join(directory, key);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Everything that comes out of a socket, and a way to wait for a text in what came since the last wait. */
function ear(socket: Socket): (text: string) => Promise<string> {
  let said = '';
  let look = () => {};
  socket.on('data', (data) => {
    said += data.toString('latin1');
    look();
  });
  return (text) =>
    new Promise((resolve) => {
      look = () => {
        if (!said.includes(text)) return;
        look = () => {};
        resolve(said);
        said = '';
      };
      look();
    });
}

test('everybody attached reads the guest, anybody types, and a new console first reads what was said', async () => {
  writeFileSync(layout.consoleLog, 'said before\n');
  const guestServer = createServer().listen(layout.serial);
  await once(guestServer, 'listening');
  const line = new SerialLine(index, layout);
  await line.listen();
  const connected = once(guestServer, 'connection') as Promise<[Socket]>;
  line.attach();
  const [guest] = await connected;
  const guestHears = ear(guest);

  const terminal = connect(layout.console);
  const terminalHears = ear(terminal);
  expect(await terminalHears('said before\n')).toBe('said before\n');
  const sol = connect(solPort(index), '127.0.0.1');
  const solHears = ear(sol);
  sol.write('from sol');
  await guestHears('from sol');
  guest.write('to all');
  expect(await terminalHears('to all')).toBe('to all');
  expect(await solHears('to all')).toBe('to all');
  terminal.write('from terminal');
  await guestHears('from terminal');

  const late = connect(layout.console);
  expect(await ear(late)('to all')).toBe('said before\nto all');

  // The machine is powered off and on: the readers stay.
  guest.destroy();
  const again = once(guestServer, 'connection') as Promise<[Socket]>;
  line.attach();
  (await again)[0].write('second life');
  await terminalHears('second life');

  const closed = Promise.all([terminal, sol, late].map((reader) => once(reader, 'close')));
  line.close();
  await closed;
  guestServer.close();
});

test('the tail of a file is its last bytes', () => {
  writeFileSync(join(directory, 'log'), '0123456789');
  expect(tail(join(directory, 'log'), 4).toString()).toBe('6789');
  expect(tail(join(directory, 'log'), 40).toString()).toBe('0123456789');
  expect(tail(join(directory, 'absent'), 4)).toHaveLength(0);
});
