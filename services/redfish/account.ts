// Users of the BMC (DSP0268 AccountService, ManagerAccount) and what a serial console is reached by.
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import type { Found } from './find.ts';
import { linkOf, number, object, pathOf, type Resource, text, texts } from './resource.ts';

export interface RedfishAccount {
  readonly id: string;
  readonly path: string;
  readonly name: string;
  readonly enabled: boolean | null;
  /** `Administrator`, `Operator`, `ReadOnly`, or the vendor's own. */
  readonly role: string;
  readonly locked: boolean;
}

export interface AccountService {
  readonly collection: string;
  readonly longestPassword: number | null;
  readonly shortestPassword: number | null;
}

export async function accountService(
  client: RedfishClient,
  found: Found,
  options: AskOptions,
): Promise<AccountService> {
  const service = linkOf(found.root.AccountService);
  const json = service ? (await client.get(service, options)).json : null;
  const collection = json ? linkOf(json.Accounts) : null;
  if (!json || !collection) throw new RedfishError('not-supported', 'it has no account service');
  return {
    collection,
    longestPassword: number(json.MaxPasswordLength),
    shortestPassword: number(json.MinPasswordLength),
  };
}

/** Slots without a user (Dell has 16 that are always there) are left out. */
export async function readAccounts(
  client: RedfishClient,
  service: AccountService,
  options: AskOptions,
): Promise<RedfishAccount[]> {
  return (await client.members(service.collection, options)).flatMap((json) => accountOf(json) ?? []);
}

function accountOf(json: Resource): RedfishAccount | null {
  const name = text(json.UserName);
  const path = pathOf(json['@odata.id']);
  if (name === null || path === null) return null;
  return {
    id: text(json.Id) ?? name,
    path,
    name,
    enabled: typeof json.Enabled === 'boolean' ? json.Enabled : null,
    role: text(json.RoleId) ?? 'none',
    locked: json.Locked === true,
  };
}

/** The BMC's own words about a refused password are not passed on: they may hold it. */
export async function changePassword(
  client: RedfishClient,
  account: RedfishAccount,
  password: string,
  options: AskOptions,
): Promise<void> {
  try {
    await client.patch(account.path, { Password: password }, { ...options, mute: true });
  } catch (error) {
    if (!(error instanceof RedfishError) || !['refused', 'task-failed'].includes(error.code)) throw error;
    throw new RedfishError('refused', `it does not take the new password of ${account.name}`, {
      ...(error.status !== undefined && { status: error.status }),
      messageIds: error.messageIds,
    });
  }
}

export interface SerialConsoleWay {
  /** `SSH`, `Telnet`, `IPMI`, `WebSocket`, `Oem`. */
  readonly type: string;
  readonly port: number | null;
  readonly enabled: boolean | null;
  /** What to type at the BMC's own prompt. */
  readonly command: string | null;
  /** Of a WebSocket. */
  readonly uri: string | null;
}

const consoleTypes = ['SSH', 'Telnet', 'IPMI', 'WebSocket'] as const;

/** How the serial console is reached: `SerialConsole` of the system (1.13 and later), else of its manager, which names kinds only. */
export async function serialConsole(
  client: RedfishClient,
  found: Found,
  options: AskOptions,
): Promise<SerialConsoleWay[]> {
  const system = object((await client.get(found.system, options)).json.SerialConsole);
  const ways = consoleTypes.flatMap((type): SerialConsoleWay[] => {
    const way = system[type];
    if (way === undefined || way === null) return [];
    const from = object(way);
    return [
      {
        type,
        port: number(from.Port),
        enabled: typeof from.ServiceEnabled === 'boolean' ? from.ServiceEnabled : null,
        command: text(from.ConsoleEntryCommand),
        uri: pathOf(from.ConsoleURI),
      },
    ];
  });
  if (ways.length > 0) return ways;
  for (const manager of found.managers) {
    const older = object((await client.get(manager, options)).json.SerialConsole);
    const enabled = typeof older.ServiceEnabled === 'boolean' ? older.ServiceEnabled : null;
    const kinds = texts(older.ConnectTypesSupported);
    if (kinds.length > 0) return kinds.map((type) => ({ type, port: null, enabled, command: null, uri: null }));
  }
  return [];
}
