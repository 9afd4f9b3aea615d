// What a virtual BMC knows of its machine, in the bytes that IPMI keeps it in: sensor records (IPMI 2.0 chapter 43), event log
// records (chapter 32) and FRU areas (Platform Management FRU Information Storage Definition 1.0).

/** A threshold sensor with a linear scale: value = raw × m × 10^exponent. Thresholds and value are raw bytes. */
export interface AnalogSensor {
  kind: 'analog';
  number: number;
  name: string;
  /** Table 42-3: 1 temperature, 2 voltage, 4 fan, 0x0b other units. */
  type: number;
  /** Table 43-13: 3 processor, 7 system board, 0x1d fan. */
  entity: number;
  /** Table 43-15: 1 degrees C, 4 volts, 6 watts, 18 RPM. */
  unit: number;
  m: number;
  exponent: number;
  raw: number;
  /** Lower non-critical, lower critical, lower non-recoverable, then the upper three; undefined: there is none. */
  thresholds: readonly (number | undefined)[];
}

/** A sensor of states (event type 0x6f): bits of table 42-3. */
export interface StateSensor {
  kind: 'state';
  number: number;
  name: string;
  type: number;
  entity: number;
  states: number;
}

export type VirtualSensor = AnalogSensor | StateSensor;

export const standardSensors = (): VirtualSensor[] => [
  {
    ...{ kind: 'analog', number: 1, name: 'CPU Temp', type: 1, entity: 3, unit: 1, m: 1, exponent: 0, raw: 42 },
    thresholds: [undefined, undefined, undefined, 85, 95, 100],
  },
  {
    ...{ kind: 'analog', number: 2, name: 'FAN1', type: 4, entity: 0x1d, unit: 18, m: 100, exponent: 0, raw: 54 },
    thresholds: [7, 5, 3, undefined, undefined, undefined],
  },
  {
    ...{ kind: 'analog', number: 3, name: '12V', type: 2, entity: 7, unit: 4, m: 6, exponent: -2, raw: 201 },
    thresholds: [180, 175, 170, 220, 225, 230],
  },
  {
    ...{ kind: 'analog', number: 4, name: 'Power', type: 0x0b, entity: 7, unit: 6, m: 4, exponent: 0, raw: 31 },
    thresholds: [undefined, undefined, undefined, 200, 225, 250],
  },
  { kind: 'state', number: 5, name: 'PS1 Status', type: 8, entity: 0x0a, states: 0x01 },
];

/** Bits of the thresholds that there are, in the order that IPMI numbers them (section 35.9). */
export const thresholdMask = (sensor: AnalogSensor): number =>
  sensor.thresholds.reduce<number>((mask, value, bit) => (value === undefined ? mask : mask | (1 << bit)), 0);

/** Thresholds that the reading has crossed. */
export function crossed(sensor: AnalogSensor): number {
  let bits = 0;
  for (const [bit, limit] of sensor.thresholds.entries())
    if (limit !== undefined && (bit < 3 ? sensor.raw <= limit : sensor.raw >= limit)) bits |= 1 << bit;
  return bits;
}

const idString = (name: string): number[] => {
  const text = Buffer.from(name, 'latin1').subarray(0, 16);
  return [0xc0 | text.length, ...text];
};

function record(id: number, type: number, body: readonly number[]): Buffer {
  return Buffer.of(id & 0xff, id >> 8, 0x51, type, body.length, ...body);
}

function sensorRecord(id: number, sensor: VirtualSensor): Buffer {
  const { number, entity, type, name } = sensor;
  if (sensor.kind === 'state') {
    const head = [0x20, 0, number, entity, 1, 0x7f, 0x43, type, 0x6f];
    const masks = [0xff, 0, 0xff, 0, 0xff, 0];
    // Units, sharing, hysteresis, reserved, OEM: a sensor of states has none of them.
    return record(id, 2, [...head, ...masks, 0xc0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, ...idString(name)]);
  }
  const mask = thresholdMask(sensor);
  // Thresholds can be read and not set; no events of its own (byte 12 of table 43-1).
  const head = [0x20, 0, number, entity, 1, 0x7f, 0x47, type, 0x01];
  const scale = [sensor.m & 0xff, (sensor.m >> 2) & 0xc0, 0, 0, 0, (sensor.exponent & 0x0f) << 4];
  const [lnc = 0, lc = 0, lnr = 0, unc = 0, uc = 0, unr = 0] = sensor.thresholds.map((value) => value ?? 0);
  return record(id, 1, [
    ...[...head, 0, 0, 0, 0, mask, 0, 0x00, sensor.unit, 0, 0, ...scale],
    ...[0, sensor.raw, 0xff, 0, 0xff, 0, unr, uc, unc, lnr, lc, lnc, 0, 0, 0, 0, 0, ...idString(name)],
  ]);
}

/** The whole repository: the controller, its FRU, and the sensors; ids from 1. */
export function sdrRecords(sensors: readonly VirtualSensor[], model: string): Buffer[] {
  return [
    record(1, 0x12, [0x20, 0, 0, 0xaf, 0, 0, 0, 7, 1, 0, ...idString(model)]),
    record(2, 0x11, [0x20, 0, 0x80, 0, 0, 0x10, 0, 7, 1, 0, ...idString('Builtin FRU')]),
    ...sensors.map((sensor, index) => sensorRecord(3 + index, sensor)),
  ];
}

export interface VirtualFru {
  manufacturer: string;
  product: string;
  serial: string;
  part: string;
}

const field = (text: string): number[] => {
  const bytes = Buffer.from(text, 'latin1').subarray(0, 0x3f);
  return [0xc0 | bytes.length, ...bytes];
};

const checksum = (bytes: readonly number[]): number => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;

/** An area: its length in units of eight bytes stands in its second byte, its checksum in its last. */
function area(head: readonly number[], fields: readonly string[]): number[] {
  const bytes = [1, 0, ...head, ...fields.flatMap(field), 0xc1];
  while (bytes.length % 8 !== 7) bytes.push(0);
  bytes[1] = (bytes.length + 1) / 8;
  return [...bytes, checksum(bytes)];
}

export function fruBytes(fru: VirtualFru): Buffer {
  const { manufacturer, product, serial, part } = fru;
  // Chassis type 0x17: rack mount (SMBIOS 7.4.1). Board language 0x19: English; made in minutes since 1996: not told.
  const chassis = area([0x17], [part, serial]);
  const board = area([0x19, 0, 0, 0], [manufacturer, product, serial, part, '']);
  const goods = area([0x19], [manufacturer, product, part, '1', serial, '', '']);
  const at = [1, 1 + chassis.length / 8, 1 + (chassis.length + board.length) / 8];
  const header = [1, 0, at[0]!, at[1]!, at[2]!, 0, 0];
  return Buffer.from([...header, checksum(header), ...chassis, ...board, ...goods]);
}

/** A system event record (type 2), `at` in seconds since 1970. */
export function selRecord(
  id: number,
  at: number,
  event: { sensorType: number; sensor: number; type: number; data: readonly [number, number, number] },
): Buffer {
  const out = Buffer.alloc(16);
  out.writeUInt16LE(id, 0);
  out[2] = 0x02;
  out.writeUInt32LE(at, 3);
  out[7] = 0x20;
  out[9] = 0x04;
  out[10] = event.sensorType;
  out[11] = event.sensor;
  out[12] = event.type;
  out.set(event.data, 13);
  return out;
}
