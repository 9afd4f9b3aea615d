// Vendors' ways, as data for our mock-up: what public issues, documentation and code say of each one's answers (the sources stand in
// quirks.ts and in the rows). Facts only; the shapes of the resources are the DMTF's published schemas (DSP8010).

export interface MockupMedia {
  readonly id: string;
  readonly types: readonly string[];
  /** False: no InsertMedia; the slot is PATCHed, or not at all where `patch` is false too. */
  readonly action: boolean;
  readonly patch: boolean;
}

export interface MockupFlavour {
  readonly name: string;
  /** Of the service root; null where it has none. */
  readonly vendor: string | null;
  readonly manufacturer: string;
  readonly model: string;
  readonly redfish: string;
  readonly firmware: string;
  readonly system: string;
  readonly manager: string;
  readonly chassis: string;
  /** Links end in a slash, and a request without it is redirected. */
  readonly slash: boolean;
  readonly resets: readonly string[];
  /** Where the values allowed stand: at the action, in its ActionInfo, or nowhere. */
  readonly resetsIn: 'action' | 'info' | 'nowhere';
  /** A reset that leads where the machine is already; null: it is taken. */
  readonly already: {
    readonly status: number;
    readonly on: string;
    readonly off: string;
    readonly silent: boolean;
  } | null;
  readonly targets: readonly string[];
  /** Whether BootSourceOverrideMode may be set; `forgets`: left out, it goes back to Legacy and the override is off. */
  readonly mode: 'writable' | 'read-only' | 'forgets' | 'none';
  /** Where the override is written: the system, or its settings alone. */
  readonly settings: { readonly id: string; readonly only: boolean } | null;
  readonly etags: 'weak' | 'strong' | 'weak-strict' | 'none';
  /** Status of a PATCH without If-Match; null: none is needed. */
  readonly ifMatch: 412 | 428 | null;
  readonly media: { readonly at: 'system' | 'manager'; readonly slots: readonly MockupMedia[] };
  readonly mediaRefuses: readonly string[];
  readonly mediaRequires: readonly string[];
  readonly sensors: 'thermal' | 'sensors' | 'subsystem';
  readonly expand: boolean;
  readonly stream: string | null;
  readonly log: { readonly at: 'system' | 'manager'; readonly id: string; readonly newestFirst: boolean };
  readonly serial: 'system' | 'manager' | 'none';
  /** One-time boot by BIOS attributes. */
  readonly biosOneTime: boolean;
  /** Registry prefix of its own messages. */
  readonly registry: string;
  /** `plain`: the schema's; `single`: one object instead of a list; `bare`: ids and arguments without texts. */
  readonly errors: 'plain' | 'single' | 'bare';
}

const usual = [
  'On',
  'ForceOff',
  'GracefulShutdown',
  'GracefulRestart',
  'ForceRestart',
  'PowerCycle',
  'PushPowerButton',
  'Nmi',
];
const cd = { types: ['CD', 'DVD'], action: true, patch: false } as const;

const contoso: MockupFlavour = {
  name: 'contoso',
  vendor: 'Contoso',
  manufacturer: 'Contoso',
  model: '3500RX',
  redfish: '1.15.0',
  firmware: '1.45.455b66-rev4',
  system: '1',
  manager: 'BMC',
  chassis: '1U',
  slash: false,
  resets: usual,
  resetsIn: 'action',
  already: null,
  targets: ['None', 'Pxe', 'Cd', 'Usb', 'Hdd', 'BiosSetup', 'Diags', 'UefiHttp', 'UefiTarget'],
  mode: 'writable',
  settings: null,
  etags: 'strong',
  ifMatch: null,
  media: {
    at: 'system',
    slots: [
      { id: 'CD1', ...cd },
      { id: 'USB1', types: ['USBStick'], action: true, patch: false },
    ],
  },
  mediaRefuses: [],
  mediaRequires: [],
  sensors: 'sensors',
  expand: true,
  stream: '/redfish/v1/EventService/SSE',
  log: { at: 'manager', id: 'EventLog', newestFirst: false },
  serial: 'system',
  biosOneTime: false,
  registry: 'Contoso.1.0',
  errors: 'plain',
};

export const mockupFlavours = {
  contoso,
  dell: {
    ...contoso,
    name: 'dell',
    vendor: 'Dell',
    manufacturer: 'Dell Inc.',
    model: 'PowerEdge R640',
    firmware: '4.40.00.00',
    system: 'System.Embedded.1',
    manager: 'iDRAC.Embedded.1',
    chassis: 'System.Embedded.1',
    // dell/dellemc-openmanage-ansible-modules 115 and 132; infra-operator 434.
    already: { status: 409, on: 'IDRAC.2.1.PSU501', off: 'IDRAC.2.1.PSU502', silent: false },
    etags: 'weak',
    media: {
      at: 'manager',
      slots: [
        { id: 'CD', ...cd },
        { id: 'RemovableDisk', types: ['USBStick'], action: true, patch: false },
      ],
    },
    sensors: 'thermal',
    expand: true,
    stream: '/redfish/v1/SSE',
    log: { at: 'manager', id: 'Sel', newestFirst: true },
    serial: 'manager',
    biosOneTime: true,
    registry: 'IDRAC.2.1',
  },
  dell10: {
    ...contoso,
    name: 'dell10',
    vendor: 'Dell',
    manufacturer: 'Dell Inc.',
    model: 'PowerEdge R570',
    firmware: '1.20.25.00',
    system: 'System.Embedded.1',
    manager: 'iDRAC.Embedded.1',
    chassis: 'System.Embedded.1',
    already: { status: 409, on: 'IDRAC.3.0.PSU501', off: 'IDRAC.3.0.PSU502', silent: false },
    // ansible community.general 11297: Boot is read-only at the system, writable in its Settings.
    settings: { id: 'Settings', only: true },
    etags: 'weak',
    log: { at: 'manager', id: 'Sel', newestFirst: true },
    registry: 'IDRAC.3.0',
  },
  hpe: {
    ...contoso,
    name: 'hpe',
    vendor: 'HPE',
    manufacturer: 'HPE',
    model: 'ProLiant DL380 Gen10',
    redfish: '1.6.0',
    firmware: 'iLO 5 v2.72',
    manager: '1',
    chassis: '1',
    slash: true,
    resets: ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'Nmi', 'PushPowerButton', 'GracefulRestart'],
    // goldyfruit/ansible-ilo 1: an id with an argument and no text.
    already: {
      status: 400,
      on: 'iLO.2.14.InvalidOperationForSystemState',
      off: 'iLO.2.14.InvalidOperationForSystemState',
      silent: true,
    },
    mode: 'read-only',
    etags: 'weak',
    ifMatch: 412,
    media: {
      at: 'manager',
      slots: [
        { id: '1', types: ['Floppy', 'USBStick'], action: true, patch: true },
        { id: '2', ...cd, patch: true },
      ],
    },
    sensors: 'thermal',
    expand: false,
    stream: null,
    log: { at: 'system', id: 'IML', newestFirst: false },
    serial: 'manager',
    registry: 'iLO.2.14',
    errors: 'bare',
  },
  supermicro: {
    ...contoso,
    name: 'supermicro',
    vendor: 'Supermicro',
    manufacturer: 'Supermicro',
    model: 'SYS-120U-TNR',
    redfish: '1.11.0',
    firmware: '01.02.32',
    manager: '1',
    chassis: '1',
    targets: ['None', 'Pxe', 'Floppy', 'Cd', 'UsbCd', 'Hdd', 'BiosSetup', 'Usb', 'UefiHttp'],
    // DMTF/Redfishtool 106.
    mode: 'forgets',
    etags: 'weak',
    media: { at: 'manager', slots: [{ id: 'VirtualMedia1', ...cd }] },
    mediaRefuses: ['Inserted', 'WriteProtected'],
    mediaRequires: ['TransferProtocolType'],
    resetsIn: 'info',
    sensors: 'thermal',
    expand: false,
    stream: null,
    log: { at: 'system', id: 'Log1', newestFirst: false },
    serial: 'manager',
    registry: 'Smc.1.0',
    errors: 'single',
  },
  lenovo: {
    ...contoso,
    name: 'lenovo',
    vendor: 'Lenovo',
    manufacturer: 'Lenovo',
    model: 'ThinkSystem SR630 V2',
    redfish: '1.14.0',
    firmware: 'AFBT20X',
    manager: '1',
    chassis: '1',
    // ansible 56150 (428 without If-Match); stmcginnis/gofish 529 and lenovo/python-redfish-lenovo 21 (media).
    ifMatch: 428,
    media: {
      at: 'manager',
      slots: [
        { id: 'RDOC1', types: ['CD', 'DVD'], action: false, patch: false },
        { id: 'EXT1', types: ['CD', 'DVD'], action: false, patch: true },
      ],
    },
    sensors: 'thermal',
    expand: false,
    stream: null,
    log: { at: 'system', id: 'PlatformLog', newestFirst: true },
    serial: 'manager',
    registry: 'ExtendedError.1.2',
  },
  ami: {
    ...contoso,
    name: 'ami',
    vendor: 'AMI',
    manufacturer: 'ASRockRack',
    model: 'WRX80 Creator R2.0',
    redfish: '1.11.0',
    firmware: '1.04.00',
    system: 'Self',
    manager: 'Self',
    chassis: 'Self',
    // DMTF/Redfish-Tacklebox 144; ansible community.general 6434 (a weak tag is given, a strong one wanted).
    settings: { id: 'SD', only: true },
    etags: 'weak-strict',
    ifMatch: 428,
    mediaRequires: ['TransferProtocolType'],
    resetsIn: 'info',
    sensors: 'subsystem',
    expand: false,
    stream: null,
    log: { at: 'manager', id: 'SEL', newestFirst: false },
    serial: 'none',
    registry: 'Ami.1.0',
  },
} as const satisfies Record<string, MockupFlavour>;

export type MockupFlavourName = keyof typeof mockupFlavours;
