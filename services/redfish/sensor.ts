// Sensors: the Sensors collection where one request gives it whole, else Thermal and Power, which every BMC of the last ten years has
// (DSP0268 Sensor, Thermal, Power). The reading of each resource is pure.
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import type { Found } from './find.ts';
import { at, lastOf, linkOf, list, number, object, type Resource, text } from './resource.ts';

export type RedfishSensorKind = 'temperature' | 'voltage' | 'current' | 'fan' | 'power' | 'other';
export type RedfishHealth = 'ok' | 'warning' | 'critical' | 'absent' | 'unknown';

export interface RedfishThresholds {
  readonly lowerCaution?: number;
  readonly lowerCritical?: number;
  readonly lowerFatal?: number;
  readonly upperCaution?: number;
  readonly upperCritical?: number;
  readonly upperFatal?: number;
}

export interface RedfishSensor {
  readonly name: string;
  readonly kind: RedfishSensorKind;
  /** In `unit`; null where there is no reading now. */
  readonly value: number | null;
  /** `degrees C`, `V`, `A`, `W`, `RPM`, `%`, or the BMC's own. */
  readonly unit: string;
  readonly health: RedfishHealth;
  readonly thresholds: RedfishThresholds;
}

export function healthOf(status: unknown): RedfishHealth {
  const { State, Health } = object(status);
  if (State === 'Absent' || State === 'Disabled' || State === 'UnavailableOffline') return 'absent';
  if (Health === 'OK') return 'ok';
  if (Health === 'Warning') return 'warning';
  return Health === 'Critical' ? 'critical' : 'unknown';
}

/** UCUM's units, as Redfish has them, and what firmware writes instead → ours. */
const units: Readonly<Record<string, string>> = {
  Cel: 'degrees C',
  C: 'degrees C',
  Celsius: 'degrees C',
  '[degF]': 'degrees F',
  V: 'V',
  A: 'A',
  W: 'W',
  '{rev}/min': 'RPM',
  RPM: 'RPM',
  Percent: '%',
  '%': '%',
};

const kinds: Readonly<Record<string, RedfishSensorKind>> = {
  Temperature: 'temperature',
  Voltage: 'voltage',
  Current: 'current',
  Rotational: 'fan',
  Power: 'power',
};

/** Older property names → ours. Fans of Thermal have the same under the same names. */
const limits = [
  ['lowerCaution', 'LowerThresholdNonCritical', 'LowerCaution'],
  ['lowerCritical', 'LowerThresholdCritical', 'LowerCritical'],
  ['lowerFatal', 'LowerThresholdFatal', 'LowerFatal'],
  ['upperCaution', 'UpperThresholdNonCritical', 'UpperCaution'],
  ['upperCritical', 'UpperThresholdCritical', 'UpperCritical'],
  ['upperFatal', 'UpperThresholdFatal', 'UpperFatal'],
] as const;

function thresholdsOf(from: Resource): RedfishThresholds {
  const found: Record<string, number> = {};
  for (const [name, older, newer] of limits) {
    const limit = number(from[older]) ?? number(at(from, 'Thresholds', newer, 'Reading'));
    if (limit !== null) found[name] = limit;
  }
  return found;
}

function row(
  from: Resource,
  kind: RedfishSensorKind,
  value: number | null,
  unit: string,
  fallback: string,
): RedfishSensor {
  const health = healthOf(from.Status);
  return {
    name: text(from.Name) ?? text(from.MemberId) ?? text(from.FanName) ?? fallback,
    kind,
    value: health === 'absent' ? null : value,
    unit,
    health,
    thresholds: thresholdsOf(from),
  };
}

export function sensorOf(json: Resource): RedfishSensor {
  const unit = text(json.ReadingUnits) ?? '';
  const kind = kinds[text(json.ReadingType) ?? ''] ?? (unit === '{rev}/min' || unit === 'RPM' ? 'fan' : 'other');
  return row(json, kind, number(json.Reading), units[unit] ?? unit, text(json.Id) ?? 'sensor');
}

export function thermalSensors(json: Resource): RedfishSensor[] {
  const temperatures = list(json.Temperatures).map((one, place) => {
    const from = object(one);
    return row(from, 'temperature', number(from.ReadingCelsius), 'degrees C', `Temperature ${place + 1}`);
  });
  const fans = list(json.Fans).map((one, place) => {
    const from = object(one);
    // HPE gives percent; before 1.0.0 firmware had ReadingRPM.
    const unit = units[text(from.ReadingUnits) ?? text(from.Units) ?? 'RPM'] ?? 'RPM';
    const value = number(from.Reading) ?? number(from.ReadingRPM) ?? number(from.CurrentReading);
    return row(from, 'fan', value, unit, `Fan ${place + 1}`);
  });
  return [...temperatures, ...fans];
}

export function powerSensors(json: Resource): RedfishSensor[] {
  const voltages = list(json.Voltages).map((one, place) => {
    const from = object(one);
    return row(from, 'voltage', number(from.ReadingVolts), 'V', `Voltage ${place + 1}`);
  });
  const supplies = list(json.PowerSupplies).map((one, place) => {
    const from = object(one);
    const value = number(from.PowerInputWatts) ?? number(from.LastPowerOutputWatts) ?? number(from.PowerOutputWatts);
    return row(from, 'power', value, 'W', `Power supply ${place + 1}`);
  });
  const control = list(json.PowerControl).flatMap((one) => {
    const from = object(one);
    const value = number(from.PowerConsumedWatts);
    return value === null ? [] : [row(from, 'power', value, 'W', 'System power')];
  });
  return [...voltages, ...supplies, ...control];
}

/** ThermalMetrics of a ThermalSubsystem: excerpts of sensors, named by where they are. */
export function thermalMetrics(json: Resource): RedfishSensor[] {
  return list(json.TemperatureReadingsCelsius).map((one, place) => {
    const from = object(one);
    const name = text(from.DeviceName) ?? lastOf(text(from.DataSourceUri) ?? `Temperature ${place + 1}`);
    return row(
      { Status: { Health: 'OK' }, ...from, Name: name },
      'temperature',
      number(from.Reading),
      'degrees C',
      name,
    );
  });
}

/** A Fan of a ThermalSubsystem. */
export function fanOf(json: Resource): RedfishSensor {
  const speed = object(json.SpeedPercent);
  const rpm = number(speed.SpeedRPM);
  return row(json, 'fan', rpm ?? number(speed.Reading), rpm === null ? '%' : 'RPM', text(json.Id) ?? 'Fan');
}

/** `$expand` of one level, as the root says that it knows it (DSP0266 "Query parameters"). */
export function canExpand(root: Resource): boolean {
  const query = object(at(root, 'ProtocolFeaturesSupported', 'ExpandQuery'));
  return query.Levels === true && (query.NoLinks === true || query.ExpandAll === true);
}

const expand = '?$expand=.($levels=1)';
const missing = (error: unknown): null => {
  if (error instanceof RedfishError && ['not-supported', 'refused', 'bad-response'].includes(error.code)) return null;
  throw error;
};

export async function readSensors(client: RedfishClient, found: Found, options: AskOptions): Promise<RedfishSensor[]> {
  const all: RedfishSensor[] = [];
  for (const chassis of found.chassis) {
    const { json } = await client.get(chassis, options);
    const collection = linkOf(json.Sensors);
    if (collection && canExpand(found.root)) {
      const whole = await client.members(`${collection}${expand}`, options).catch(missing);
      if (whole && whole.length > 0) {
        all.push(...whole.map(sensorOf));
        continue;
      }
    }
    const before = all.length;
    for (const [link, read] of [
      [linkOf(json.Thermal), thermalSensors],
      [linkOf(json.Power), powerSensors],
    ] as const) {
      const answer = link ? await client.get(link, options).catch(missing) : null;
      if (answer) all.push(...read(answer.json));
    }
    if (all.length > before) continue;
    if (collection) all.push(...((await client.members(collection, options).catch(missing)) ?? []).map(sensorOf));
    if (all.length > before) continue;
    const subsystem = linkOf(json.ThermalSubsystem);
    const thermal = subsystem ? await client.get(subsystem, options).catch(missing) : null;
    if (!thermal) continue;
    const metrics = linkOf(thermal.json.ThermalMetrics);
    const fans = linkOf(thermal.json.Fans);
    const read = metrics ? await client.get(metrics, options).catch(missing) : null;
    if (read) all.push(...thermalMetrics(read.json));
    if (fans) all.push(...((await client.members(fans, options).catch(missing)) ?? []).map(fanOf));
  }
  return all;
}
