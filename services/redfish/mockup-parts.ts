// Media, log and sensors of our mock-up's tree. Pure; shapes by DSP8010.
import type { MockupFlavour } from './mockup-flavour.ts';
import type { MockupMachine, MockupSensor } from './mockup-machine.ts';
import type { Body } from './mockup-tree.ts';

const ok = { State: 'Enabled', Health: 'OK' };

export type Add = (path: string, type: string, body: (id: string) => Body) => void;
export type Collect = (path: string, type: string, members: () => readonly string[]) => void;

export function addMedia(
  add: Add,
  collect: Collect,
  path: string,
  machine: MockupMachine,
  flavour: MockupFlavour,
): void {
  collect(path, 'VirtualMediaCollection', () => flavour.media.slots.map(({ id }) => id));
  for (const { id, types, action } of flavour.media.slots)
    add(`${path}/${id}`, 'VirtualMedia.v1_5_1.VirtualMedia', () => {
      const image = machine.media.get(id) ?? null;
      return {
        MediaTypes: types,
        Image: image,
        ImageName: image?.split('/').pop() ?? null,
        Inserted: image !== null,
        WriteProtected: true,
        ConnectedVia: image === null ? 'NotConnected' : 'URI',
        ...(action && {
          Actions: {
            '#VirtualMedia.InsertMedia': { target: `${path}/${id}/Actions/VirtualMedia.InsertMedia` },
            '#VirtualMedia.EjectMedia': { target: `${path}/${id}/Actions/VirtualMedia.EjectMedia` },
          },
        }),
      };
    });
}

export function addLog(add: Add, collect: Collect, path: string, machine: MockupMachine, flavour: MockupFlavour): void {
  collect(path.replace(/\/[^/]+$/, ''), 'LogServiceCollection', () => [path]);
  add(path, 'LogService.v1_1_3.LogService', () => ({
    ServiceEnabled: true,
    LogEntryType: 'SEL',
    Entries: { '@odata.id': `${path}/Entries` },
    Actions: { '#LogService.ClearLog': { target: `${path}/Actions/LogService.ClearLog` } },
  }));
  // Entries come whole, as nearly every BMC gives them.
  add(`${path}/Entries`, 'LogEntryCollection.LogEntryCollection', () => {
    const entries = machine.log().map((entry) => ({
      '@odata.id': `${path}/Entries/${entry.id}`,
      '@odata.type': '#LogEntry.v1_6_0.LogEntry',
      Id: entry.id,
      Name: `Log entry ${entry.id}`,
      EntryType: 'SEL',
      Created: `${entry.at.toISOString().slice(0, 19)}Z`,
      Severity: entry.severity,
      Message: entry.text,
      MessageId: entry.messageId,
    }));
    if (flavour.log.newestFirst) entries.reverse();
    return { 'Members@odata.count': entries.length, Members: entries };
  });
}

function limitsOf(sensor: MockupSensor): Body {
  return {
    ...(sensor.upperCaution !== undefined && { UpperThresholdNonCritical: sensor.upperCaution }),
    ...(sensor.upperCritical !== undefined && { UpperThresholdCritical: sensor.upperCritical }),
    ...(sensor.lowerCritical !== undefined && { LowerThresholdCritical: sensor.lowerCritical }),
  };
}

export function addSensors(
  add: Add,
  collect: Collect,
  chassis: string,
  machine: MockupMachine,
  flavour: MockupFlavour,
  link: (path: string) => Body,
  links: { system: string; manager: string },
): void {
  const of = (type: MockupSensor['type']) => machine.sensors().filter((sensor) => sensor.type === type);
  const status = (sensor: MockupSensor) => ({
    State: sensor.reading === null ? 'UnavailableOffline' : 'Enabled',
    Health: 'OK',
  });
  add(chassis, 'Chassis.v1_14_0.Chassis', () => ({
    ChassisType: 'RackMount',
    Manufacturer: flavour.manufacturer,
    Model: flavour.model,
    SerialNumber: machine.serial,
    PowerState: machine.power,
    Status: ok,
    ...(flavour.sensors === 'thermal' && { Thermal: link(`${chassis}/Thermal`), Power: link(`${chassis}/Power`) }),
    ...(flavour.sensors === 'sensors' && { Sensors: link(`${chassis}/Sensors`) }),
    ...(flavour.sensors === 'subsystem' && { ThermalSubsystem: link(`${chassis}/ThermalSubsystem`) }),
    Links: { ComputerSystems: [link(links.system)], ManagedBy: [link(links.manager)] },
  }));
  const row = (sensor: MockupSensor, value: Body) => ({
    MemberId: sensor.id,
    Name: sensor.name,
    Status: status(sensor),
    ...limitsOf(sensor),
    ...value,
  });
  if (flavour.sensors === 'thermal') {
    add(`${chassis}/Thermal`, 'Thermal.v1_6_2.Thermal', () => ({
      Temperatures: of('Temperature').map((sensor) => row(sensor, { ReadingCelsius: sensor.reading })),
      Fans: of('Rotational').map((sensor) => row(sensor, { Reading: sensor.reading, ReadingUnits: 'RPM' })),
    }));
    add(`${chassis}/Power`, 'Power.v1_5_4.Power', () => ({
      PowerControl: of('Power').map((sensor) => row(sensor, { PowerConsumedWatts: sensor.reading })),
      Voltages: of('Voltage').map((sensor) => row(sensor, { ReadingVolts: sensor.reading })),
      PowerSupplies: [],
    }));
  }
  if (flavour.sensors === 'sensors') {
    collect(`${chassis}/Sensors`, 'SensorCollection', () => machine.sensors().map(({ id }) => id));
    for (const { id } of machine.sensors())
      add(`${chassis}/Sensors/${id}`, 'Sensor.v1_2_0.Sensor', () => {
        const sensor = machine.sensors().find((one) => one.id === id);
        if (!sensor) return {};
        return {
          Name: sensor.name,
          ReadingType: sensor.type,
          Reading: sensor.reading,
          ReadingUnits: sensor.units,
          Status: status(sensor),
          Thresholds: {
            ...(sensor.upperCaution !== undefined && { UpperCaution: { Reading: sensor.upperCaution } }),
            ...(sensor.upperCritical !== undefined && { UpperCritical: { Reading: sensor.upperCritical } }),
            ...(sensor.lowerCritical !== undefined && { LowerCritical: { Reading: sensor.lowerCritical } }),
          },
        };
      });
  }
  if (flavour.sensors === 'subsystem') {
    const subsystem = `${chassis}/ThermalSubsystem`;
    add(subsystem, 'ThermalSubsystem.v1_0_0.ThermalSubsystem', () => ({
      Fans: link(`${subsystem}/Fans`),
      ThermalMetrics: link(`${subsystem}/ThermalMetrics`),
    }));
    add(`${subsystem}/ThermalMetrics`, 'ThermalMetrics.v1_0_0.ThermalMetrics', () => ({
      TemperatureReadingsCelsius: of('Temperature').map((sensor) => ({
        DeviceName: sensor.name,
        Reading: sensor.reading,
      })),
    }));
    collect(`${subsystem}/Fans`, 'FanCollection', () => of('Rotational').map(({ id }) => id));
    for (const { id, name } of of('Rotational'))
      add(`${subsystem}/Fans/${id}`, 'Fan.v1_0_0.Fan', () => {
        const reading = of('Rotational').find((one) => one.id === id)?.reading ?? null;
        return { Name: name, SpeedPercent: { Reading: 30, SpeedRPM: reading }, Status: ok };
      });
  }
}
