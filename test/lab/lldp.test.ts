/** What a switch says is heard as the ramdisk hears it, on a card that has carrier. */
import { execFile } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { packetSocket, sendFrame } from '../../services/core/packet-socket.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { namespace } from './namespace.fixture.ts';

it('hears the LLDP of a switch port, and nothing where there is none', async () => {
  const ours = namespace();
  const theirs = namespace();
  for (const card of ['up0', 'up1']) {
    ours.ip(`link add ${card} type veth peer name ${card} netns ${theirs.name}`);
    for (const one of [ours, theirs]) one.ip(`link set ${card} up`);
  }
  const fd = enterNamespace(theirs.file, () => packetSocket('up0'));
  onTestFinished(() => closeSync(fd));
  const frame = Buffer.from(
    // Chassis by MAC, port `swp7`, TTL 120, system `leaf-1`, end.
    '0180c200000e52540000009988cc' + '020704525400000099' + '04050573777037' + '06020078' + '0a066c6561662d31' + '0000',
    'hex',
  );
  const speaking = setInterval(() => sendFrame(fd, frame), 100);
  onTestFinished(() => clearInterval(speaking));
  const program = join(import.meta.dirname, 'lldp-listen.fixture.ts');
  const listener = promisify(execFile)('ip', ['netns', 'exec', ours.name, process.execPath, program, 'up0', 'up1']);
  expect(JSON.parse((await listener).stdout)).toEqual([
    [
      'up0',
      [
        [1, '04525400000099'],
        [2, '0573777037'],
        [3, '0078'],
        [5, '6c6561662d31'],
      ],
    ],
  ]);
});
