// What a virtual BMC answers of its records: sensors, FRU, SDR repository, event log.

import { crossed, thresholdMask } from './virtual-bmc-records.ts';
import {
  INVALID,
  long,
  NOT_PRESENT,
  OUT_OF_RANGE,
  RESERVATION_LOST,
  type Row,
  TOO_LONG,
  word,
} from './virtual-bmc-rows.ts';

/** Sensors (chapter 35). */
export const sensorRows: readonly [number, Row][] = [
  [
    0x27,
    {
      level: 2,
      bytes: 1,
      run(its, data) {
        const sensor = its.sensors.find(({ number }) => number === data[0]);
        if (!sensor) return NOT_PRESENT;
        if (sensor.kind === 'state') return INVALID;
        return [thresholdMask(sensor), ...sensor.thresholds.map((value) => value ?? 0)];
      },
    },
  ],
  [
    0x2d,
    {
      level: 2,
      bytes: 1,
      run(its, data) {
        const sensor = its.sensors.find(({ number }) => number === data[0]);
        if (!sensor) return NOT_PRESENT;
        return sensor.kind === 'state'
          ? [0, 0xc0, ...word(sensor.states | 0x8000)]
          : [sensor.raw, 0xc0, crossed(sensor) | 0xc0];
      },
    },
  ],
];

/** FRU, SDR repository, system event log (chapters 31, 33, 34). */
export const storageRows: readonly [number, Row][] = [
  [0x10, { level: 2, bytes: 1, run: (its, data) => (data[0] === 0 ? [...word(its.fru.length), 0] : NOT_PRESENT) }],
  [
    0x11,
    {
      level: 2,
      bytes: 4,
      run(its, data) {
        if (data[0] !== 0) return NOT_PRESENT;
        const from = data.readUInt16LE(1);
        if (from >= its.fru.length) return OUT_OF_RANGE;
        if (data[3]! > its.mostReadBytes) return TOO_LONG;
        const part = its.fru.subarray(from, from + data[3]!);
        return [part.length, ...part];
      },
    },
  ],
  [0x20, { level: 2, bytes: 0, run: (its) => [0x51, ...word(its.sdrs.length), 0, 0x10, ...long(1), ...long(1), 0x02] }],
  [0x22, { level: 2, bytes: 0, run: (its) => word(its.reserve('sdr')) }],
  [
    0x23,
    {
      level: 2,
      bytes: 6,
      run(its, data) {
        const [reservation, id, offset, count] = [data.readUInt16LE(0), data.readUInt16LE(2), data[4]!, data[5]!];
        // Only reading a record in pieces needs the reservation (section 33.12).
        if (offset !== 0 && !its.reserved('sdr', reservation)) return RESERVATION_LOST;
        const place = id === 0 ? 0 : id === 0xffff ? its.sdrs.length - 1 : id - 1;
        const record = its.sdrs[place];
        if (!record) return NOT_PRESENT;
        if (offset >= record.length) return OUT_OF_RANGE;
        if (count !== 0xff && count > its.mostReadBytes) return TOO_LONG;
        if (count === 0xff && record.length > its.mostReadBytes) return TOO_LONG;
        const next = place + 1 < its.sdrs.length ? place + 2 : 0xffff;
        return [...word(next), ...record.subarray(offset, count === 0xff ? undefined : offset + count)];
      },
    },
  ],
  [0x28, { level: 2, bytes: 0, run: (its) => long(its.seconds()) }],
  [
    0x40,
    {
      level: 2,
      bytes: 0,
      run: ({ sel }) => [
        0x51,
        ...word(sel.entries.length),
        ...word(0x3000),
        ...long(sel.added),
        ...long(sel.erased),
        2,
      ],
    },
  ],
  [0x42, { level: 2, bytes: 0, run: (its) => word(its.reserve('sel')) }],
  [
    0x43,
    {
      level: 2,
      bytes: 6,
      run({ sel }, data) {
        const id = data.readUInt16LE(2);
        const place =
          id === 0
            ? 0
            : id === 0xffff
              ? sel.entries.length - 1
              : sel.entries.findIndex((entry) => entry.readUInt16LE(0) === id);
        const entry = sel.entries[place];
        if (!entry) return NOT_PRESENT;
        const next = sel.entries[place + 1]?.readUInt16LE(0) ?? 0xffff;
        const [from, count] = [data[4]!, data[5]!];
        return [...word(next), ...entry.subarray(from, count === 0xff ? undefined : from + count)];
      },
    },
  ],
  [
    0x44,
    {
      level: 3,
      bytes: 16,
      run: (its, data) => word(its.log((id) => Buffer.concat([Uint8Array.from(word(id)), data.subarray(2, 16)]))),
    },
  ],
  [
    0x47,
    {
      level: 3,
      bytes: 6,
      run(its, data) {
        if (!its.reserved('sel', data.readUInt16LE(0))) return RESERVATION_LOST;
        if (data.toString('latin1', 2, 5) !== 'CLR') return INVALID;
        if (data[5] === 0xaa) its.clearLog();
        return [1];
      },
    },
  ],
  [0x48, { level: 2, bytes: 0, run: (its) => long(its.seconds()) }],
  [
    0x49,
    {
      level: 3,
      bytes: 4,
      run(its, data) {
        its.setSeconds(data.readUInt32LE(0));
        return [];
      },
    },
  ],
];
