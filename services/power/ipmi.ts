/** Bmc over IPMI: one session for each node, opened at its first command and kept; faults become sentences. */
import { type ErrorCode, Fault, fault } from '../core/errors/index.ts';
import { IpmiError, type IpmiErrorCode, type IpmiSession, type IpmiTransport, vendorOf } from '../ipmi/index.ts';
import { type Bmc, type BmcAccess, type BootDevice, bootDeviceNames } from './bmc.ts';
import type { ConsoleOpener } from './capabilities.ts';
import { type AskCall, ipmiCapabilities } from './ipmi-capabilities.ts';

/** What a failed exchange means to an operator; the rest is `bmc-refused`. */
const faults: Readonly<Partial<Record<IpmiErrorCode, ErrorCode>>> = {
  timeout: 'bmc-unreachable',
  unresolved: 'bmc-unreachable',
  network: 'bmc-unreachable',
  'session-lost': 'bmc-unreachable',
  uncertain: 'bmc-unreachable',
  'bad-password': 'bmc-credentials',
  'unknown-user': 'bmc-user',
  'bad-kg': 'bmc-key',
  privilege: 'bmc-privilege',
  'suite-refused': 'bmc-suites',
  'no-session-slots': 'bmc-sessions-full',
  'wrong-session': 'bmc-foreign-session',
};

export function ipmiFault(access: BmcAccess, command: string, error: unknown, wanted?: string): Fault {
  if (!(error instanceof IpmiError))
    return fault('bmc-refused', { bmc: bmcName(access), node: nodeName(access), command, text: String(error) }, error);
  // The reason with our own words for it would say everything twice: the row of the table says the remedy.
  const details = {
    bmc: bmcName(access),
    node: nodeName(access),
    user: access.username || '(empty)',
    command,
    text: error.step ? `${error.step}: ${error.fault}` : error.fault,
    wanted,
    found: error.fault,
  };
  if (error.code === 'boot-not-kept') return fault('bmc-boot-device-not-kept', details, error);
  return fault(faults[error.code] ?? 'bmc-refused', details, error);
}

export const nodeName = (access: Pick<BmcAccess, 'key' | 'name'>): string => access.name ?? access.key;

export const bmcName = (access: Pick<BmcAccess, 'address' | 'port'>): string =>
  access.address.includes(':') ? `[${access.address}]:${access.port}` : `${access.address}:${access.port}`;

/** Milliseconds that one command may take: a healthy BMC answers in 10, a sick one in seconds; longer is as good as dead. */
const deadline = 10_000;
/** Calls of hundreds of exchanges (sensor records, logs, FRU data); each exchange still has its own ten seconds. */
const longDeadline = 120_000;

export interface IpmiBmc extends Bmc {
  close(): void;
}

/** A console alone, on a session of its own. */
export function ipmiConsole(access: BmcAccess, transport: () => Promise<IpmiTransport>): ConsoleOpener {
  const { console } = createIpmiBmc(access, transport);
  // The driver ipmi has one always (drivers.ts).
  return console as ConsoleOpener;
}

export function createIpmiBmc(access: BmcAccess, transport: () => Promise<IpmiTransport>): IpmiBmc {
  let session: Promise<IpmiSession> | null = null;

  async function open(password = access.password, suites?: readonly number[]): Promise<IpmiSession> {
    const { cipherSuite, privilege, kg, suite, lan15 } = access.options;
    const opened = await transport();
    return opened.session({
      host: access.address,
      port: access.port,
      user: access.username,
      password,
      ...(cipherSuite !== undefined && cipherSuite !== '' && { suites: [Number(cipherSuite)] }),
      ...(lan15 === true
        ? { remembered: { protocol: '1.5' as const } }
        : typeof suite === 'number' && { remembered: { suite } }),
      ...(typeof kg === 'string' && kg !== '' && { kg }),
      ...(typeof privilege === 'string' &&
        privilege !== '' && { privilege: privilege.toLowerCase() as 'administrator' }),
      ...(suites && { suites, allow15: false }),
    });
  }

  async function ask<T>(
    command: string,
    signal: AbortSignal | undefined,
    work: (session: IpmiSession, call: AskCall) => Promise<T>,
    long = false,
    wanted?: string,
  ): Promise<T> {
    const bound = long ? longDeadline : deadline;
    try {
      session ??= open();
      return await work(await session, signal ? { deadline: bound, signal } : { deadline: bound });
    } catch (error) {
      // A session that could not even be made (bad argument) is made anew when the access is corrected.
      if (error instanceof IpmiError && error.code === 'bad-argument') session = null;
      if (signal?.aborted && error instanceof IpmiError && error.code === 'aborted') throw signal.reason;
      throw ipmiFault(access, command, error, wanted);
    }
  }

  const bmc: IpmiBmc = {
    ...ipmiCapabilities({
      access,
      ask,
      another: (password, suites) => open(password, suites),
      fault: (command, error) => ipmiFault(access, command, error),
    }),
    async power(signal) {
      return (await ask('read the power state', signal, (s, o) => s.chassisStatus(o))).power;
    },
    async setPower(target, signal) {
      if (target === 'soft reboot')
        throw fault('bmc-refused', {
          bmc: bmcName(access),
          node: nodeName(access),
          command: target,
          text: 'IPMI has no such command; shut it down softly and switch it on again',
        });
      if (target === 'reboot') {
        // A reset of a machine that is off is refused by most BMCs and ignored by the rest.
        const now = await bmc.power(signal);
        return ask('reboot', signal, (s, o) => s.power(now === 'on' ? 'reset' : 'on', o));
      }
      const action = target === 'soft off' ? 'soft' : target;
      await ask(`switch ${target}`, signal, (s, o) => s.power(action, o));
    },
    async bootDevice(signal): Promise<BootDevice | null> {
      const state = await ask('read the boot device', signal, (s, o) => s.bootOptions(o));
      // ipmi_sim drops the valid bit and yet obeys, so the selector alone decides.
      const device = bootDeviceNames.find((name) => name === state.device);
      return device ? { device, persistent: state.persistent, efi: state.efi } : null;
    },
    async setBootDevice(wanted, signal) {
      await ask('set the boot device', signal, (s, o) => s.setBootOptions(wanted, o), false, wanted.device).catch(
        (error) => {
          // Its report card says that it forgets: what the machine boots is then decided by the firmware's order and our answer.
          const known = access.options.bootNotKept === true;
          if (!(known && error instanceof Fault && error.code === 'bmc-boot-device-not-kept')) throw error;
        },
      );
    },
    async clearBootDevice(signal) {
      await ask('clear the boot device', signal, (s, o) => s.setBootOptions({ device: 'none' }, o));
    },
    async info(signal) {
      const id = await ask('identify itself', signal, (s, o) => s.deviceId(o));
      const { protocol, suite } = (await session)?.remembered ?? {};
      const product = `0x${id.product.toString(16).padStart(4, '0')}`;
      const vendor = vendorOf(id.manufacturer);
      const maker = vendor ? `${vendor} (${id.manufacturer})` : `manufacturer ${id.manufacturer}`;
      return {
        description: `IPMI ${id.ipmi}, ${maker}, product ${product}`,
        firmware: id.firmware,
        manufacturerId: id.manufacturer,
        productId: id.product,
        vendor: vendor ?? `manufacturer ${id.manufacturer}`,
        model: `product ${product}`,
        ...(protocol === '1.5' ? { spoken: { lan15: true } } : suite !== undefined && { spoken: { suite } }),
      };
    },
    close() {
      const opened = session;
      session = null;
      opened?.then((s) => s.close({ deadline: 1_000 })).catch(() => {});
    },
  };
  return bmc;
}
