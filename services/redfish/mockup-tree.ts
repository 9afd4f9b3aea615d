// The resources of our mock-up: path → body, made anew at each request from the machine and the flavour. Pure. Shapes by DSP8010.
import type { MockupFlavour } from './mockup-flavour.ts';
import type { MockupMachine } from './mockup-machine.ts';
import { addLog, addMedia, addSensors } from './mockup-parts.ts';

export type Body = Record<string, unknown>;
export type Tree = ReadonlyMap<string, () => Body>;

export interface TreePaths {
  readonly system: string;
  readonly manager: string;
  readonly chassis: string;
  readonly settings: string | null;
  readonly bios: string;
  readonly media: string;
  readonly log: string;
}

const root = '/redfish/v1';

export function pathsOf(flavour: MockupFlavour): TreePaths {
  const system = `${root}/Systems/${flavour.system}`;
  const manager = `${root}/Managers/${flavour.manager}`;
  const owner = { system, manager };
  return {
    system,
    manager,
    chassis: `${root}/Chassis/${flavour.chassis}`,
    settings: flavour.settings ? `${system}/${flavour.settings.id}` : null,
    bios: `${system}/Bios`,
    media: `${owner[flavour.media.at]}/VirtualMedia`,
    log: `${owner[flavour.log.at]}/LogServices/${flavour.log.id}`,
  };
}

const ok = { State: 'Enabled', Health: 'OK' };

/** What of one Boot stands where the override is written. */
export function bootOf(machine: MockupMachine, flavour: MockupFlavour): Body {
  const { boot } = machine;
  return {
    BootSourceOverrideEnabled: boot.enabled,
    'BootSourceOverrideEnabled@Redfish.AllowableValues': ['Disabled', 'Once', 'Continuous'],
    BootSourceOverrideTarget: boot.target,
    'BootSourceOverrideTarget@Redfish.AllowableValues': flavour.targets,
    ...(flavour.mode !== 'none' && { BootSourceOverrideMode: boot.mode }),
    ...(flavour.targets.includes('UefiHttp') && { HttpBootUri: boot.httpUri }),
  };
}

/** Names or paths of what comes and goes. */
export interface NamedMembers {
  sessions(): readonly string[];
  subscriptions(): readonly string[];
}

export function mockupTree(machine: MockupMachine, flavour: MockupFlavour, named: NamedMembers): Tree {
  const tree = new Map<string, () => Body>();
  const paths = pathsOf(flavour);
  const { system, manager, chassis } = paths;
  const link = (path: string) => ({ '@odata.id': flavour.slash ? `${path}/` : path });
  const add = (path: string, type: string, body: (id: string) => Body) => {
    const id = path.split('/').pop() ?? '';
    tree.set(path, () => ({ ...link(path), '@odata.type': `#${type}`, Id: id, Name: id, ...body(id) }));
  };
  const collect = (path: string, type: string, members: () => readonly string[]) =>
    tree.set(path, () => ({
      ...link(path),
      '@odata.type': `#${type}.${type}`,
      Name: type,
      'Members@odata.count': members().length,
      Members: members().map((name) => link(name.startsWith('/') ? name : `${path}/${name}`)),
    }));

  tree.set(root, () => ({
    ...link(root),
    '@odata.type': '#ServiceRoot.v1_15_0.ServiceRoot',
    Id: 'RootService',
    Name: 'Root Service',
    RedfishVersion: flavour.redfish,
    UUID: machine.uuid,
    ...(flavour.vendor && { Vendor: flavour.vendor }),
    ProtocolFeaturesSupported: {
      ExpandQuery: {
        ExpandAll: flavour.expand,
        Levels: flavour.expand,
        Links: false,
        NoLinks: flavour.expand,
        MaxLevels: 1,
      },
    },
    Systems: link(`${root}/Systems`),
    Chassis: link(`${root}/Chassis`),
    Managers: link(`${root}/Managers`),
    SessionService: link(`${root}/SessionService`),
    AccountService: link(`${root}/AccountService`),
    EventService: link(`${root}/EventService`),
    UpdateService: link(`${root}/UpdateService`),
    Tasks: link(`${root}/TaskService`),
    Links: { Sessions: link(`${root}/SessionService/Sessions`) },
  }));
  collect(`${root}/Systems`, 'ComputerSystemCollection', () => [flavour.system]);
  collect(`${root}/Chassis`, 'ChassisCollection', () => [flavour.chassis]);
  collect(`${root}/Managers`, 'ManagerCollection', () => [flavour.manager]);

  const reset = `${system}/Actions/ComputerSystem.Reset`;
  const boot = () => bootOf(machine, flavour);
  add(system, 'ComputerSystem.v1_20_0.ComputerSystem', () => ({
    SystemType: 'Physical',
    Manufacturer: flavour.manufacturer,
    Model: flavour.model,
    SerialNumber: machine.serial,
    SKU: `${machine.serial}-SKU`,
    AssetTag: machine.assetTag,
    UUID: machine.uuid,
    BiosVersion: '2.6.4',
    PowerState: machine.power,
    PowerRestorePolicy: machine.restorePolicy,
    LocationIndicatorActive: machine.indicator,
    IndicatorLED: machine.indicator ? 'Blinking' : 'Off',
    Status: ok,
    Boot: boot(),
    ...(paths.settings && {
      '@Redfish.Settings': { '@odata.type': '#Settings.v1_3_0.Settings', SettingsObject: link(paths.settings) },
    }),
    ...(flavour.serial === 'system' && {
      SerialConsole: {
        MaxConcurrentSessions: 1,
        SSH: { ServiceEnabled: true, Port: 2200 },
        IPMI: { ServiceEnabled: true, Port: 623 },
      },
    }),
    ProcessorSummary: { Count: 1, Model: 'Multi-Core Processor' },
    MemorySummary: { TotalSystemMemoryGiB: 32, Status: ok },
    Processors: link(`${system}/Processors`),
    Memory: link(`${system}/Memory`),
    EthernetInterfaces: link(`${system}/EthernetInterfaces`),
    Storage: link(`${system}/Storage`),
    ...(flavour.log.at === 'system' && { LogServices: link(`${system}/LogServices`) }),
    ...(flavour.media.at === 'system' && { VirtualMedia: link(paths.media) }),
    ...(flavour.biosOneTime && { Bios: link(paths.bios) }),
    Links: { Chassis: [link(chassis)], ManagedBy: [link(manager)] },
    Actions: {
      '#ComputerSystem.Reset': {
        target: flavour.slash ? `${reset}/` : reset,
        ...(flavour.resetsIn === 'action' && { 'ResetType@Redfish.AllowableValues': flavour.resets }),
        ...(flavour.resetsIn === 'info' && { '@Redfish.ActionInfo': `${system}/ResetActionInfo` }),
      },
    },
  }));
  if (flavour.resetsIn === 'info')
    add(`${system}/ResetActionInfo`, 'ActionInfo.v1_2_0.ActionInfo', () => ({
      Parameters: [{ Name: 'ResetType', Required: true, DataType: 'String', AllowableValues: flavour.resets }],
    }));
  if (paths.settings) add(paths.settings, 'ComputerSystem.v1_20_0.ComputerSystem', () => ({ Boot: boot() }));

  collect(`${system}/Processors`, 'ProcessorCollection', () => ['CPU1', 'CPU2']);
  add(`${system}/Processors/CPU1`, 'Processor.v1_4_0.Processor', () => ({
    ProcessorType: 'CPU',
    InstructionSet: 'x86-64',
    Manufacturer: 'Contoso',
    Model: 'Multi-Core Processor 16',
    TotalCores: 16,
    TotalThreads: 32,
    MaxSpeedMHz: 3700,
    Status: ok,
  }));
  add(`${system}/Processors/CPU2`, 'Processor.v1_4_0.Processor', () => ({ Status: { State: 'Absent' } }));
  collect(`${system}/Memory`, 'MemoryCollection', () => ['DIMM1', 'DIMM2']);
  add(`${system}/Memory/DIMM1`, 'Memory.v1_7_0.Memory', () => ({
    CapacityMiB: 32_768,
    MemoryDeviceType: 'DDR4',
    OperatingSpeedMhz: 3200,
    DeviceLocator: 'DIMM1',
    Manufacturer: 'Contoso',
    SerialNumber: '1A2B3C',
    PartNumber: 'DR4-32',
    Status: ok,
  }));
  // An empty socket: no status, no size.
  add(`${system}/Memory/DIMM2`, 'Memory.v1_7_0.Memory', () => ({ DeviceLocator: 'DIMM2', CapacityMiB: null }));
  collect(`${system}/EthernetInterfaces`, 'EthernetInterfaceCollection', () =>
    machine.macs.map((_, place) => `NIC${place + 1}`),
  );
  for (const [place, mac] of machine.macs.entries())
    add(`${system}/EthernetInterfaces/NIC${place + 1}`, 'EthernetInterface.v1_4_1.EthernetInterface', () => ({
      MACAddress: mac.toUpperCase(),
      SpeedMbps: 10_000,
      LinkStatus: 'LinkUp',
      InterfaceEnabled: true,
      Status: ok,
    }));
  collect(`${system}/Storage`, 'StorageCollection', () => ['1']);
  add(`${system}/Storage/1`, 'Storage.v1_7_1.Storage', () => ({
    Drives: [link(`${system}/Storage/1/Drives/0`)],
    Status: ok,
  }));
  add(`${system}/Storage/1/Drives/0`, 'Drive.v1_7_0.Drive', () => ({
    CapacityBytes: 480_103_981_056,
    MediaType: 'SSD',
    Protocol: 'SATA',
    Manufacturer: 'Contoso',
    Model: 'C480',
    SerialNumber: 'S480-1',
    Revision: '1.2',
    Status: ok,
  }));

  add(manager, 'Manager.v1_9_0.Manager', () => ({
    ManagerType: 'BMC',
    FirmwareVersion: flavour.firmware,
    Model: `${flavour.manufacturer} BMC`,
    DateTime: `${machine.now().toISOString().slice(0, 19)}+00:00`,
    DateTimeLocalOffset: '+00:00',
    Status: ok,
    ...(flavour.serial === 'manager' && {
      SerialConsole: { ServiceEnabled: true, MaxConcurrentSessions: 1, ConnectTypesSupported: ['SSH', 'IPMI'] },
    }),
    ...(flavour.log.at === 'manager' && { LogServices: link(`${manager}/LogServices`) }),
    ...(flavour.media.at === 'manager' && { VirtualMedia: link(paths.media) }),
    Links: { ManagerForServers: [link(system)], ManagerForChassis: [link(chassis)] },
    Actions: {
      '#Manager.Reset': {
        target: `${manager}/Actions/Manager.Reset`,
        'ResetType@Redfish.AllowableValues': ['GracefulRestart', 'ForceRestart'],
      },
    },
  }));
  addMedia(add, collect, paths.media, machine, flavour);
  addLog(add, collect, paths.log, machine, flavour);
  addSensors(add, collect, chassis, machine, flavour, link, { system, manager });

  const sessionsPath = `${root}/SessionService/Sessions`;
  add(`${root}/SessionService`, 'SessionService.v1_1_8.SessionService', () => ({
    ServiceEnabled: true,
    SessionTimeout: 1_800,
    Sessions: link(sessionsPath),
  }));
  collect(sessionsPath, 'SessionCollection', named.sessions);
  const accounts = `${root}/AccountService/Accounts`;
  add(`${root}/AccountService`, 'AccountService.v1_10_0.AccountService', () => ({
    ServiceEnabled: true,
    MinPasswordLength: 8,
    MaxPasswordLength: 40,
    Accounts: link(accounts),
  }));
  collect(accounts, 'ManagerAccountCollection', () => machine.accounts.map(({ id }) => id));
  for (const account of machine.accounts)
    add(`${accounts}/${account.id}`, 'ManagerAccount.v1_8_0.ManagerAccount', () => ({
      UserName: account.name,
      // Write-only: null in every answer (DSP0268).
      Password: null,
      RoleId: account.role,
      Enabled: account.enabled,
      Locked: false,
    }));
  add(`${root}/EventService`, 'EventService.v1_7_0.EventService', () => ({
    ServiceEnabled: true,
    ...(flavour.stream && { ServerSentEventUri: flavour.stream }),
    Subscriptions: link(`${root}/EventService/Subscriptions`),
  }));
  collect(`${root}/EventService/Subscriptions`, 'EventDestinationCollection', named.subscriptions);
  add(`${root}/UpdateService`, 'UpdateService.v1_8_3.UpdateService', () => ({
    ServiceEnabled: true,
    FirmwareInventory: link(`${root}/UpdateService/FirmwareInventory`),
  }));
  collect(`${root}/UpdateService/FirmwareInventory`, 'SoftwareInventoryCollection', () => [
    'BMC',
    'BIOS',
    'Previous-1',
  ]);
  add(`${root}/UpdateService/FirmwareInventory/BMC`, 'SoftwareInventory.v1_2_3.SoftwareInventory', () => ({
    Name: 'BMC firmware',
    Version: flavour.firmware,
    Updateable: true,
  }));
  add(`${root}/UpdateService/FirmwareInventory/BIOS`, 'SoftwareInventory.v1_2_3.SoftwareInventory', () => ({
    Name: 'System BIOS',
    Version: '2.6.4',
    Updateable: true,
  }));
  add(`${root}/UpdateService/FirmwareInventory/Previous-1`, 'SoftwareInventory.v1_2_3.SoftwareInventory', () => ({
    Version: '2.6.3',
  }));
  if (flavour.biosOneTime) {
    const attributes = () => ({ Attributes: { ...machine.bios } });
    add(paths.bios, 'Bios.v1_1_0.Bios', () => ({
      ...attributes(),
      '@Redfish.Settings': {
        '@odata.type': '#Settings.v1_3_0.Settings',
        SettingsObject: link(`${paths.bios}/Settings`),
      },
    }));
    add(`${paths.bios}/Settings`, 'Bios.v1_1_0.Bios', attributes);
  }
  return tree;
}
