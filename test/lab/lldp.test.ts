/** What a switch says is heard as the ramdisk hears it, on a card that has carrier. */
import { execFile } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { neighbourOf } from '../../services/boot/report.ts';
import { packetSocket, sendFrame } from '../../services/core/packet-socket.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { speakLldp } from '../../services/lab/lldp.ts';
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

it('hears from a lab’s bridge which tap the card hangs on', async () => {
  const ours = namespace();
  const theirs = namespace();
  theirs.ip('link add br0 address 52:54:00:00:00:b0 type bridge');
  ours.ip(`link add eth0 type veth peer name tap7 netns ${theirs.name}`);
  ours.ip('link set eth0 up');
  theirs.ip('link set tap7 master br0 up');
  const bridge = speakLldp((line) => expect.unreachable(line), 100);
  onTestFinished(() => bridge.stop());
  enterNamespace(theirs.file, () => bridge.speakTo([{ index: 7, name: 'node-7' }]));
  const program = join(import.meta.dirname, 'lldp-listen.fixture.ts');
  const listener = promisify(execFile)('ip', ['netns', 'exec', ours.name, process.execPath, program, 'eth0']);
  const [[, tlvs]] = JSON.parse((await listener).stdout);
  expect(neighbourOf(tlvs)).toMatchObject({
    chassis: '52:54:00:00:00:b0',
    port: 'tap7',
    portDescription: 'node-7',
    system: 'lab',
  });
});
