/** A capture of one machine’s boot as a stream in pcap format: ends by itself when the agent has spoken, or in time. */
import { PassThrough, type Readable } from 'node:stream';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import { concerns, mostCaptured } from './frame.ts';
import type { Capturing } from './links.ts';
import { pcapHeader, pcapRecord } from './pcap.ts';

export interface CaptureOptions {
  readonly house: House;
  readonly wire: Capturing;
  readonly macs: readonly string[];
  /** Ends with this node’s first heartbeat. */
  readonly nodeUuid: string | null;
  readonly seconds: number;
}

/** A reader that does not keep up loses frames instead of filling the memory. */
const mostWaiting = 32 * 1024 * 1024;
/** What follows the heartbeat at once belongs to the boot. */
const afterglowMs = 1_000;

/** @throws Fault `capture-refused` */
export function captureBoot({ house, wire, macs, nodeUuid, seconds }: CaptureOptions): Readable {
  const stream = new PassThrough({ highWaterMark: 1 << 20 });
  stream.write(pcapHeader());
  const leave = wire.capture(macs, (frame, at) => {
    if (stream.writableLength > mostWaiting || !macs.some((mac) => concerns(frame.bytes, mac))) return;
    stream.write(pcapRecord(at, frame.bytes, frame.length));
  });
  if (!leave) throw fault('capture-refused', { reason: `${mostCaptured} cards are being captured already` });
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    leave();
    unsubscribe();
    cancel();
    stream.end();
  };
  const cancel = house.clock.after(seconds * 1000, end);
  const unsubscribe = house.recorder.subscribe((event) => {
    const isHeartbeat = event.kind === 'node.agent-heartbeat' && (event.data as { first?: boolean }).first === true;
    if (isHeartbeat && event.subject.id === nodeUuid) house.clock.after(afterglowMs, end);
  });
  stream.once('close', end);
  return stream;
}
