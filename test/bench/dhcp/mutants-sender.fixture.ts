/** `mutants-sender.fixture.ts DEVICE COUNT`: sends them, and good DISCOVERs between them; says on stdout what was answered. */

import { DatagramBatch } from '../../../services/core/datagram-batch.ts';
import { datagramSocket } from '../../../services/core/sockets.ts';
import { captures, seeded } from '../../../services/dhcp/captured.fixture.ts';
import { decodePacket, formatMac, MESSAGE, OPTION } from '../../../services/dhcp/index.ts';
import { mutate } from '../../../services/dhcp/mutate.fixture.ts';

const [, , device = '', count = '0'] = process.argv;
const total = Number(count);
const goodOnes = 100;
const broadcast = 0xffffffff;
const wire = new DatagramBatch(datagramSocket('mutants', device, '0.0.0.0', 68));
const random = seeded(4);
const originals = captures().flatMap(({ packets }) => packets.map(({ bytes }) => bytes));
const discover = originals.find((bytes) => {
  const decoded = decodePacket(bytes);
  return decoded.ok && decoded.packet.options.get(OPTION.messageType)?.[0] === MESSAGE.discover;
});
if (!discover) throw new Error('no capture has a DISCOVER');

const answered = new Set<string>();
const listen = () =>
  wire.receive((bytes) => {
    const decoded = decodePacket(bytes);
    if (!decoded.ok || decoded.packet.op !== 2) return;
    const mac = formatMac(decoded.packet.chaddr, 6);
    if (mac.startsWith('02:aa:')) answered.add(mac);
  });
const good = (number: number): Uint8Array => {
  const bytes = Uint8Array.from(discover);
  bytes.set([0x02, 0xaa, 0, 0, number >> 8, number], 28);
  return bytes;
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

for (let i = 0; i < total; i++) {
  wire.send(mutate(originals[Math.floor(random() * originals.length)] ?? discover, random), broadcast, 67);
  if (i % 64 !== 63) continue;
  wire.flush();
  while (listen() > 0);
  await turn();
  if (i === Math.floor(total / 6400) * 64 - 1) console.log('warm');
  // Firmware asks again when it hears nothing, and so do they.
  const due = Math.floor((i / total) * goodOnes);
  for (let one = Math.max(0, due - 3); one <= due; one++)
    if (!answered.has(macOf(one))) wire.send(good(one), broadcast, 67);
}
wire.flush();
for (let tries = 0; tries < 20 && answered.size < goodOnes; tries++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  while (listen() > 0);
  for (let one = 0; one < goodOnes; one++) if (!answered.has(macOf(one))) wire.send(good(one), broadcast, 67);
  wire.flush();
}
console.log(`answered ${answered.size}`);
console.log(`sent ${total}`);

function macOf(number: number): string {
  return formatMac(Uint8Array.of(0x02, 0xaa, 0, 0, number >> 8, number), 6);
}
