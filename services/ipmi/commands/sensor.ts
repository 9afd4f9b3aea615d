// Sensor readings and thresholds (IPMI 2.0 sections 35.9, 35.14), joined with their SDRs.

import { type Ask, atLeast } from './ask.ts';
import { parseSensorRecords, readSdrs, type SensorRecord } from './sdr.ts';

export interface Thresholds {
  lowerNonCritical?: number;
  lowerCritical?: number;
  lowerNonRecoverable?: number;
  upperNonCritical?: number;
  upperCritical?: number;
  upperNonRecoverable?: number;
}

export type SensorHealth = 'ok' | 'warning' | 'critical' | 'non-recoverable' | 'absent' | 'unknown';

export interface Sensor {
  name: string;
  number: number;
  entity: number;
  instance: number;
  sensorType: number;
  /** 1 threshold, 2 to 0x0c generic states, 0x6f states of the sensor type. */
  eventType: number;
  /** In `unit`; undefined for state sensors and where there is no reading now. */
  value: number | undefined;
  unit: string;
  /** State bits as read (threshold sensors: crossed thresholds), 15 bits. */
  states: number;
  health: SensorHealth;
  thresholds: Thresholds | undefined;
}

const ORDER = [
  'lowerNonCritical',
  'lowerCritical',
  'lowerNonRecoverable',
  'upperNonCritical',
  'upperCritical',
  'upperNonRecoverable',
] as const;
const NOT_THERE = [0xcb, 0xc1, 0xcd, 0xce, 0xd5, 0xd3, 0xc9, 0xcc, 0xff, 0x80] as const;
const EVENT_THRESHOLD = 1;
/** Owner in an SDR of what the BMC itself measures (section 43.1, byte 6). */
const BMC_ADDRESS = 0x20;

/** Answer of Get Sensor Thresholds: a mask of what is readable, then six raw bytes. */
export function parseThresholds(data: Buffer, sensor: SensorRecord): Thresholds {
  atLeast(data, 7, 'Get Sensor Thresholds');
  const out: Thresholds = {};
  for (const [bit, name] of ORDER.entries()) {
    if (data[0]! & (1 << bit) && sensor.convert) out[name] = sensor.convert(data[1 + bit]!);
  }
  return out;
}

/** Answer of Get Sensor Reading: raw byte, availability, one or two bytes of states. */
export function parseReading(data: Buffer, sensor: SensorRecord): Pick<Sensor, 'value' | 'states' | 'health'> {
  atLeast(data, 2, 'Get Sensor Reading');
  const states = (data[2] ?? 0) | (((data[3] ?? 0) & 0x7f) << 8);
  // Bit 5: reading unavailable; bit 6 clear: scanning disabled.
  if (data[1]! & 0x20 || !(data[1]! & 0x40)) return { value: undefined, states: 0, health: 'unknown' };
  if (sensor.eventType !== EVENT_THRESHOLD) return { value: sensor.convert?.(data[0]!), states, health: 'ok' };
  const crossed = states & 0x3f;
  const health = crossed & 0x24 ? 'non-recoverable' : crossed & 0x12 ? 'critical' : crossed & 0x09 ? 'warning' : 'ok';
  return { value: sensor.convert?.(data[0]!), states: crossed, health };
}

async function readSensor(ask: Ask, sensor: SensorRecord, withThresholds: boolean): Promise<Sensor> {
  const { name, number, entity, instance, sensorType, eventType, unit } = sensor;
  const common = { name, number, entity, instance, sensorType, eventType, unit };
  const absent = { value: undefined, states: 0, health: 'absent' as SensorHealth, thresholds: undefined };
  // The BMC has a sensor of this number too, and would give that one's reading.
  if (sensor.owner !== BMC_ADDRESS) return { ...common, ...absent };
  const options = { lun: sensor.lun, accept: NOT_THERE };
  const reading = await ask(0x04, 0x2d, [number], options);
  const found = reading[0] === 0 ? parseReading(reading.subarray(1), sensor) : absent;
  let thresholds: Thresholds | undefined;
  if (withThresholds && sensor.eventType === EVENT_THRESHOLD && sensor.convert) {
    const answer = await ask(0x04, 0x27, [number], options);
    if (answer[0] === 0) thresholds = parseThresholds(answer.subarray(1), sensor);
  }
  return { ...common, ...found, thresholds };
}

/** Sensors that the SDR repository lists. Reading it takes seconds on a real BMC: keep the result for `readSensors`. */
export async function listSensors(ask: Ask, piece?: number): Promise<SensorRecord[]> {
  const records = await readSdrs(ask, piece);
  return records.flatMap(parseSensorRecords);
}

/** Readings of all `sensors`, one request each (two with thresholds). A sensor on another controller than the BMC is `absent`. */
export async function readSensors(
  ask: Ask,
  sensors: readonly SensorRecord[],
  withThresholds = true,
): Promise<Sensor[]> {
  const out: Sensor[] = [];
  for (const sensor of sensors) out.push(await readSensor(ask, sensor, withThresholds));
  return out;
}
