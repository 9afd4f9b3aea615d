// One machine behind a Redfish service: what the driver asks of it, in terms of machines. Discovery is done once and kept; a resource
// that has moved (a 404 after a firmware update) makes it be done again.
import {
  type AccountService,
  accountService,
  changePassword,
  type RedfishAccount,
  readAccounts,
  type SerialConsoleWay,
  serialConsole,
} from './account.ts';
import { type BootOverride, type BootState, bootStateOf } from './boot.ts';
import { type BootOutcome, setBootOverride } from './boot-override.ts';
import { type AskOptions, type ClientOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import { clearLog, findLog, type RedfishLogEntry, readLog, timeOf } from './event-log.ts';
import { eventService, listen, type RedfishEvent, subscribe, subscriptionsOf } from './events.ts';
import { type Found, findSystem } from './find.ts';
import { type RedfishFirmware, type RedfishInventory, readFirmware, readInventory } from './inventory.ts';
import { chooseSlot, ejectMedia, insertMedia, mediaSlots, type RedfishMedia } from './media.ts';
import { redfishQuirks } from './quirks.ts';
import { endOf, type Power, powerOf, type ResetGoal, resetType, resetWays } from './reset.ts';
import { type Action, actionOf, at, list, object, type Resource, text, texts } from './resource.ts';
import { type RedfishSensor, readSensors } from './sensor.ts';

export interface RedfishBmcOptions extends ClientOptions {
  /** Path or id of the system; needed only where there are several. */
  readonly system?: string;
}

export class RedfishBmc {
  readonly client: RedfishClient;
  readonly #wanted: string;
  readonly #options: RedfishBmcOptions;
  #found: Promise<Found> | null = null;

  /** @throws RedfishError bad-argument */
  constructor(options: RedfishBmcOptions) {
    this.client = new RedfishClient(options);
    this.#wanted = options.system ?? '';
    this.#options = options;
  }

  get name(): string {
    return this.client.bmc;
  }

  /** Who is behind the address; kept after the first call. */
  async find(options: AskOptions = {}): Promise<Found> {
    // The first caller's signal is not in it: others wait for the same answer.
    const ask = { step: 'find the system', deadline: options.deadline ?? 30_000 };
    this.#found ??= this.#told(ask, () => findSystem(this.client, this.#wanted, ask)).catch((error) => {
      this.#found = null;
      throw error;
    });
    const found = this.#found;
    const { signal } = options;
    if (!signal) return found;
    return new Promise<Found>((resolve, reject) => {
      const stop = () => reject(new RedfishError('aborted', 'the caller gave it up', { bmc: this.name }));
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      found.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  /** As `find`, read again: firmware is updated. */
  findAnew(options: AskOptions = {}): Promise<Found> {
    this.#found = null;
    return this.find(options);
  }

  async #system(options: AskOptions): Promise<Resource> {
    const { system } = await this.find(options);
    try {
      return (await this.client.get(system, options)).json;
    } catch (error) {
      if (!(error instanceof RedfishError) || error.status !== 404) throw error;
      this.#found = null;
      const { system: anew } = await this.find(options);
      return (await this.client.get(anew, options)).json;
    }
  }

  async power(options: AskOptions = {}): Promise<Power> {
    return this.#powerOf(await this.#system({ step: 'read the power state', ...options }));
  }

  #powerOf(system: Resource): Power {
    const power = powerOf(system.PowerState);
    if (power) return power;
    const shown = text(system.PowerState) ?? 'none';
    throw new RedfishError('bad-response', `the system reports the power state “${shown}”`, {
      bmc: this.name,
      step: 'read the power state',
    });
  }

  /** ResetTypes that the BMC says it takes; null where it does not say. */
  async #allowable(action: Action | null, options: AskOptions): Promise<readonly string[] | null> {
    if (!action?.info || action.allowable) return action?.allowable ?? null;
    const { json } = await this.client.get(action.info, options);
    const parameter = list(json.Parameters).find((one) => object(one).Name === 'ResetType');
    const values = texts(object(parameter).AllowableValues);
    return values.length > 0 ? values : null;
  }

  /**
   * Returns when the BMC has taken it. A machine that is already where the goal ends is left alone, but for resets. @throws
   * RedfishError action-not-allowed with the allowed ones in `known`, uncertain
   */
  async reset(goal: ResetGoal, options: AskOptions = {}): Promise<void> {
    const ask = { step: `power: ${goal}`, ...options };
    const { system } = await this.find(ask);
    const json = await this.#system(ask);
    const power = this.#powerOf(json);
    const end = endOf(goal);
    if ((goal === 'on' || end === 'off') && power === end && settled(json.PowerState)) return;
    // A reset of a machine that is off is refused by most and ignored by the rest.
    if ((goal === 'interrupt' || goal === 'soft reset') && power === 'off')
      throw new RedfishError('refused', 'the machine is off', { bmc: this.name, step: ask.step });
    const meant = (goal === 'reset' || goal === 'cycle') && power === 'off' ? 'on' : goal;
    const action = actionOf(json, 'ComputerSystem.Reset', 'ResetType');
    const allowable = await this.#allowable(action, ask);
    const type = resetType(meant, power, allowable);
    if (type === null) {
      const wanted = resetWays[meant].map(({ type }) => type).join(' or ');
      throw new RedfishError('action-not-allowed', `it allows ${(allowable ?? []).join(', ')} and not ${wanted}`, {
        bmc: this.name,
        step: ask.step,
        known: allowable ?? [],
      });
    }
    const target = action?.target ?? `${system.replace(/\/+$/, '')}/Actions/ComputerSystem.Reset`;
    try {
      await this.client.post(target, { ResetType: type }, ask);
    } catch (error) {
      // Dell's 409 PSU501, HPE's InvalidOperationForSystemState: somebody was faster, and it is where it should be.
      if (!(error instanceof RedfishError) || error.code !== 'refused' || (meant !== 'on' && end !== 'off'))
        throw error;
      if ((await this.power(ask)) !== end) throw error;
    }
  }

  async boot(options: AskOptions = {}): Promise<BootState> {
    return bootStateOf(await this.#system({ step: 'read the boot device', ...options }));
  }

  /** @throws RedfishError boot-not-kept with what was read in `known`, not-supported with the targets there are */
  async setBoot(wanted: BootOverride, options: AskOptions = {}): Promise<BootOutcome> {
    const ask = { step: 'set the boot device', ...options };
    const { system, vendor, model } = await this.find(ask);
    return this.#told(ask, () =>
      setBootOverride(this.client, { system, model, quirks: redfishQuirks(vendor) }, wanted, ask),
    );
  }

  async sensors(options: AskOptions = {}): Promise<RedfishSensor[]> {
    const ask = { step: 'read the sensors', ...options };
    return readSensors(this.client, await this.find(ask), ask);
  }

  async inventory(options: AskOptions = {}): Promise<RedfishInventory> {
    const ask = { step: 'read the inventory', ...options };
    return readInventory(this.client, await this.find(ask), ask);
  }

  async firmware(options: AskOptions = {}): Promise<RedfishFirmware[]> {
    const ask = { step: 'read the firmware versions', ...options };
    return this.#told(ask, async () => readFirmware(this.client, await this.find(ask), ask));
  }

  async media(options: AskOptions = {}): Promise<RedfishMedia[]> {
    const ask = { step: 'read the virtual media', ...options };
    return this.#told(ask, async () => mediaSlots(this.client, await this.find(ask), ask));
  }

  /** @throws RedfishError media-refused, bad-argument with the slots there are */
  async insert(image: string, slot?: string, options: AskOptions = {}): Promise<void> {
    const ask = { step: 'insert virtual media', ...options };
    await this.#told(ask, async () => {
      const found = await this.find(ask);
      const quirks = redfishQuirks(found.vendor);
      const chosen = chooseSlot(await mediaSlots(this.client, found, ask), slot, quirks);
      const { wait } = this.#options;
      const never = new AbortController().signal;
      const pause = (signal: AbortSignal = never) => (wait ? wait(1_000, signal) : sleep(1_000, signal));
      await insertMedia(this.client, chosen, image, quirks, { ...ask, pause });
    });
  }

  async eject(slot?: string, options: AskOptions = {}): Promise<void> {
    const ask = { step: 'eject virtual media', ...options };
    await this.#told(ask, async () => {
      const found = await this.find(ask);
      const slots = await mediaSlots(this.client, found, ask);
      const full = slots.filter(({ inserted }) => inserted);
      if (slot === undefined && full.length === 0) return;
      await ejectMedia(this.client, chooseSlot(slot === undefined ? full : slots, slot ?? full[0]?.id, {}), ask);
    });
  }

  async log(limit = 1_000, options: AskOptions = {}): Promise<RedfishLogEntry[]> {
    const ask = { step: 'read the event log', ...options };
    return this.#told(ask, async () =>
      readLog(this.client, await findLog(this.client, await this.find(ask), ask), limit, ask),
    );
  }

  async clearLog(options: AskOptions = {}): Promise<void> {
    const ask = { step: 'clear the event log', ...options };
    await this.#told(ask, async () =>
      clearLog(this.client, await findLog(this.client, await this.find(ask), ask), ask),
    );
  }

  /** The BMC's clock; null where it has none or never was told the time. */
  async time(options: AskOptions = {}): Promise<Date | null> {
    const ask = { step: 'read the clock', ...options };
    const { managers } = await this.find(ask);
    const [manager] = managers;
    return manager ? timeOf((await this.client.get(manager, ask)).json.DateTime) : null;
  }

  async setTime(time: Date, options: AskOptions = {}): Promise<void> {
    const ask = { step: 'set the clock', ...options };
    // RFC 3339 without fractions: Redfish's date-time allows them, firmware does not.
    const DateTime = `${time.toISOString().slice(0, 19)}+00:00`;
    await this.client.patch(await this.#manager(ask), { DateTime }, ask);
  }

  async #manager(ask: AskOptions): Promise<string> {
    const [manager] = (await this.find(ask)).managers;
    if (manager) return manager;
    throw new RedfishError('not-supported', 'it has no manager', {
      bmc: this.name,
      ...(ask.step && { step: ask.step }),
    });
  }

  async #accounts(ask: AskOptions): Promise<{ service: AccountService; accounts: RedfishAccount[] }> {
    const service = await accountService(this.client, await this.find(ask), ask);
    return { service, accounts: await readAccounts(this.client, service, ask) };
  }

  async accounts(options: AskOptions = {}): Promise<{ service: AccountService; accounts: RedfishAccount[] }> {
    const ask = { step: 'read the users', ...options };
    return this.#told(ask, () => this.#accounts(ask));
  }

  /** Changes our own user's password, and goes on with it. */
  async setPassword(password: string, options: AskOptions = {}): Promise<void> {
    const ask = { step: 'change the password', ...options };
    await this.#told(ask, async () => {
      const { username } = this.#options;
      const { service, accounts } = await this.#accounts(ask);
      const own = accounts.find(({ name }) => name === username);
      if (!own) throw new RedfishError('not-supported', `its account service does not list the user ${username}`);
      const { longestPassword: longest, shortestPassword: shortest } = service;
      if ((longest !== null && password.length > longest) || (shortest !== null && password.length < shortest))
        throw new RedfishError(
          'bad-argument',
          `a password here has ${shortest ?? 1} to ${longest ?? 'any number of'} characters`,
        );
      await changePassword(this.client, own, password, ask);
      this.client.useCredentials({ username, password });
    });
  }

  /** Logs in with this password on a session of its own, which is closed again. */
  async proves(password: string, options: AskOptions = {}): Promise<boolean> {
    const { onExchange: _, ...quiet } = this.#options;
    const other = new RedfishClient({ ...quiet, password });
    try {
      await other.get((await this.find(options)).system, { step: 'try the password', ...options });
      return true;
    } catch (error) {
      if (error instanceof RedfishError && error.code === 'credentials') return false;
      throw error;
    } finally {
      await other.close();
    }
  }

  async consoles(options: AskOptions = {}): Promise<SerialConsoleWay[]> {
    const ask = { step: 'read the serial console', ...options };
    return serialConsole(this.client, await this.find(ask), ask);
  }

  /** A property of the system that is set by PATCH and read back. */
  async setSystem(body: Resource, options: AskOptions): Promise<void> {
    const { system } = await this.find(options);
    await this.client.patch(system, body, options);
  }

  system(options: AskOptions = {}): Promise<Resource> {
    return this.#system({ step: 'read the system', ...options });
  }

  /** Restarts the BMC itself. */
  async restart(options: AskOptions = {}): Promise<void> {
    const ask = { step: 'restart the BMC', ...options };
    const manager = await this.#manager(ask);
    const { json } = await this.client.get(manager, ask);
    const action = actionOf(json, 'Manager.Reset', 'ResetType');
    const allowable = await this.#allowable(action, ask);
    const type = ['GracefulRestart', 'ForceRestart'].find((type) => allowable === null || allowable.includes(type));
    if (!action || !type)
      throw new RedfishError('not-supported', 'it cannot be restarted', { bmc: this.name, step: ask.step });
    await this.client.post(action.target, { ResetType: type }, ask);
  }

  /** Null where the BMC offers no stream. */
  async eventStream(options: AskOptions = {}): Promise<string | null> {
    const ask = { step: 'find its event stream', ...options };
    const { root } = await this.find(ask);
    return (await eventService(this.client, root, ask)).stream;
  }

  listen(stream: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<RedfishEvent[]> {
    return listen(this.client, stream, options);
  }

  /**
   * Has the BMC POST its events; the subscription's path, null where it has none. `held` is the one from before: it is kept if it is still
   * there. Others whose destination begins with `prefix` were left behind by a process that died, and are ended.
   */
  async subscribe(
    { prefix, destination }: { readonly prefix: string; readonly destination: string },
    held: string | null,
    options: AskOptions = {},
  ): Promise<string | null> {
    const ask = { step: 'subscribe to its events', ...options };
    const { root } = await this.find(ask);
    const { subscriptions } = await eventService(this.client, root, ask);
    if (subscriptions === null) return null;
    const there = await subscriptionsOf(this.client, subscriptions, prefix, ask);
    if (held !== null && there.includes(held)) return held;
    for (const path of there) await this.unsubscribe(path, ask);
    return subscribe(this.client, subscriptions, { destination, context: 'undercloud' }, ask);
  }

  async unsubscribe(path: string, options: AskOptions = {}): Promise<void> {
    await this.client.delete(path, { step: 'end its subscription', ...options });
  }

  close(options: { readonly deadline?: number } = {}): Promise<void> {
    return this.client.close(options);
  }

  /** Names BMC and step in what the files beside this one throw. */
  async #told<T>(ask: AskOptions, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedfishError) || error.bmc !== undefined) throw error;
      throw new RedfishError(error.code, error.fault, {
        bmc: this.name,
        ...(ask.step && { step: ask.step }),
        ...(error.status !== undefined && { status: error.status }),
        messageIds: error.messageIds,
        known: error.known,
      });
    }
  }
}

/** On and Off, not on the way there. */
const settled = (state: unknown): boolean => state === 'On' || state === 'Off';

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });

/** What the machine says it is, for people. */
export const describeService = (found: Found): string => {
  const version = text(at(found.root, 'RedfishVersion'));
  const what = [found.vendor, found.model].filter(Boolean).join(' ');
  return `Redfish${version === null ? '' : ` ${version}`}${what === '' ? '' : `, ${what}`}`;
};
