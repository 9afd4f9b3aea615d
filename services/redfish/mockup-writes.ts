// What PATCH and POST do to the machine of our mock-up; each returns what it would do, so that a task can do it later.
import { base, type MockupAnswer, refusal } from './mockup-errors.ts';
import type { MockupFaults } from './mockup-faults.ts';
import type { MockupFlavour } from './mockup-flavour.ts';
import type { MockupAccount, MockupBoot, MockupMachine } from './mockup-machine.ts';
import { type Body, pathsOf } from './mockup-tree.ts';

/** A refusal, or the effect. */
export type Write = MockupAnswer | (() => void);

export interface WriteContext {
  readonly machine: MockupMachine;
  readonly flavour: MockupFlavour;
  readonly faults: MockupFaults;
}

const textIn = (body: Body, name: string): string | null => {
  const value = body[name];
  return typeof value === 'string' ? value : null;
};

const objectIn = (body: Body, name: string): Body | null => {
  const value = body[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : null;
};

export function patchResource(context: WriteContext, path: string, body: Body): Write {
  const { machine, flavour } = context;
  const paths = pathsOf(flavour);
  if (path === paths.system || path === paths.settings) return patchSystem(context, path, body);
  if (path === paths.manager) {
    const time = Date.parse(textIn(body, 'DateTime') ?? '');
    if (Number.isNaN(time))
      return refusal(flavour, 400, base('PropertyValueFormatError', 'DateTime has no such format', [], 'DateTime'));
    return () => machine.setNow(new Date(time));
  }
  if (path.startsWith(`${paths.media}/`)) return patchMedia(context, path, body);
  if (path === `${paths.bios}/Settings` && flavour.biosOneTime) {
    const attributes = objectIn(body, 'Attributes') ?? {};
    const unknown = Object.keys(attributes).find((name) => !(name in machine.bios));
    if (unknown)
      return refusal(flavour, 400, base('PropertyUnknown', `The property ${unknown} is not known`, [unknown]));
    return () => {
      for (const [name, value] of Object.entries(attributes)) machine.bios[name] = String(value);
    };
  }
  const account = machine.accounts.find(({ id }) => path === `/redfish/v1/AccountService/Accounts/${id}`);
  if (account) return patchAccount(context, account, body);
  return refusal(flavour, 405, base('OperationNotAllowed', 'The resource cannot be changed'));
}

function patchAccount({ flavour }: WriteContext, account: MockupAccount, body: Body): Write {
  const password = textIn(body, 'Password');
  if (password === null) return refusal(flavour, 400, base('PropertyMissing', 'There is nothing to change'));
  // What real firmware does too: the refused value stands in the message.
  if (password.length < 8 || password.length > 40)
    return refusal(
      flavour,
      400,
      base(
        'PropertyValueFormatError',
        `The value '${password}' for the property Password is of a different format`,
        [password, 'Password'],
        'Password',
      ),
    );
  return () => {
    account.password = password;
  };
}

const readOnly = (flavour: MockupFlavour, name: string): MockupAnswer =>
  refusal(
    flavour,
    400,
    base(
      'PropertyNotWritable',
      `The property ${name} is a read-only property and cannot be assigned a value.`,
      [name],
      name,
    ),
  );

function patchSystem(context: WriteContext, path: string, body: Body): Write {
  const { machine, flavour, faults } = context;
  const { settings } = flavour;
  const atSettings = path === pathsOf(flavour).settings;
  const effects: (() => void)[] = [];
  for (const name of Object.keys(body)) {
    const value = body[name];
    if (name === 'Boot') {
      if (settings?.only && !atSettings)
        return flavour.name === 'ami'
          ? refusal(flavour, 400, {
              id: 'Ami.1.0.OperationSupportedInFutureStateURI',
              text: `Support of this Operation for Boot Properties is moved to FutureState URI(${pathsOf(flavour).settings})`,
            })
          : readOnly(flavour, 'Boot');
      const boot = patchBoot(flavour, machine.boot, objectIn(body, 'Boot') ?? {});
      if ('status' in boot) return boot;
      effects.push(() => {
        if (faults.boot !== 'forgets') Object.assign(machine.boot, boot);
      });
    } else if (name === 'AssetTag' && typeof value === 'string') effects.push(() => (machine.assetTag = value));
    else if (name === 'LocationIndicatorActive' && typeof value === 'boolean')
      effects.push(() => (machine.indicator = value));
    else if (name === 'IndicatorLED') effects.push(() => (machine.indicator = value !== 'Off'));
    else if (name === 'PowerRestorePolicy' && (value === 'AlwaysOn' || value === 'AlwaysOff' || value === 'LastState'))
      effects.push(() => (machine.restorePolicy = value));
    else if (['PowerState', 'SerialNumber', 'Model'].includes(name)) return readOnly(flavour, name);
    else
      return refusal(
        flavour,
        400,
        base('PropertyUnknown', `The property ${name} is not in the list of valid properties`, [name], name),
      );
  }
  return () => {
    for (const effect of effects) effect();
  };
}

const enabledNames = ['Disabled', 'Once', 'Continuous'] as const;

function patchBoot(flavour: MockupFlavour, now: MockupBoot, body: Body): MockupBoot | MockupAnswer {
  const mode = textIn(body, 'BootSourceOverrideMode');
  const target = textIn(body, 'BootSourceOverrideTarget');
  const named = textIn(body, 'BootSourceOverrideEnabled');
  const enabled = enabledNames.find((name) => name === named);
  if (mode !== null && (flavour.mode === 'read-only' || flavour.mode === 'none'))
    return readOnly(flavour, 'BootSourceOverrideMode');
  if (mode !== null && mode !== 'UEFI' && mode !== 'Legacy')
    return refusal(
      flavour,
      400,
      base('PropertyValueNotInList', `The value ${mode} is not in the list`, [mode, 'BootSourceOverrideMode']),
    );
  if (target !== null && !flavour.targets.includes(target))
    return refusal(
      flavour,
      400,
      base(
        'PropertyValueNotInList',
        `The value ${target} for the property BootSourceOverrideTarget is not in the list of acceptable values`,
        [target, 'BootSourceOverrideTarget'],
      ),
    );
  if (named !== null && !enabled)
    return refusal(flavour, 400, base('PropertyValueNotInList', `The value ${named} is not in the list`));
  // ironcore metal-operator 998.
  if (flavour.name === 'hpe' && enabled !== undefined && target === null && now.target === 'None')
    return refusal(flavour, 400, {
      id: `${flavour.registry}.UnsupportedOperation`,
      text: 'The target has to be set first',
    });
  const next: MockupBoot = {
    target: target ?? now.target,
    enabled: enabled ?? now.enabled,
    mode: mode === 'UEFI' || mode === 'Legacy' ? mode : now.mode,
    httpUri: 'HttpBootUri' in body ? textIn(body, 'HttpBootUri') : now.httpUri,
  };
  if (flavour.mode === 'forgets' && mode === null) {
    next.mode = 'Legacy';
    next.enabled = 'Disabled';
  }
  if (next.enabled === 'Disabled') next.target = 'None';
  return next;
}

function slotOf({ flavour }: WriteContext, path: string): MockupFlavour['media']['slots'][number] | undefined {
  const rest = path.slice(pathsOf(flavour).media.length + 1);
  return flavour.media.slots.find(({ id }) => id === rest.split('/')[0]);
}

function patchMedia(context: WriteContext, path: string, body: Body): Write {
  const { machine, flavour, faults } = context;
  const slot = slotOf(context, path);
  if (!slot?.patch) return refusal(flavour, 405, base('OperationNotAllowed', 'This medium cannot be mounted by a URL'));
  const image = textIn(body, 'Image');
  if (image !== null && body.Inserted !== true)
    // Lenovo mounts only with Inserted (known from OpenStack’s client).
    return refusal(flavour, 400, base('PropertyMissing', 'Inserted is missing', ['Inserted'], 'Inserted'));
  return () => {
    if (image === null) machine.media.delete(slot.id);
    else if (!faults.mediaStaysEmpty) machine.media.set(slot.id, image);
  };
}

export function postAction(context: WriteContext, path: string, body: Body): Write {
  const { machine, flavour, faults } = context;
  const paths = pathsOf(flavour);
  if (path === `${paths.system}/Actions/ComputerSystem.Reset`) return resetSystem(context, body);
  if (path === `${paths.manager}/Actions/Manager.Reset`) return () => {};
  if (path === `${paths.log}/Actions/LogService.ClearLog`) return () => machine.clearLog();
  const media = /\/Actions\/VirtualMedia\.(Insert|Eject)Media$/.exec(path);
  const slot = media && path.startsWith(paths.media) ? slotOf(context, path) : undefined;
  if (media && slot?.action) {
    if (media[1] === 'Eject') return () => void machine.media.delete(slot.id);
    const image = textIn(body, 'Image');
    if (image === null)
      return refusal(
        flavour,
        400,
        base('ActionParameterMissing', 'The action requires the parameter Image', ['Image'], 'Image'),
      );
    const bad = flavour.mediaRefuses.find((name) => name in body);
    if (bad)
      return refusal(
        flavour,
        400,
        base('ActionParameterNotSupported', `The parameter ${bad} is not supported`, [bad], bad),
      );
    const wants = flavour.mediaRequires.find((name) => !(name in body));
    if (wants)
      return refusal(
        flavour,
        400,
        base(
          'ActionParameterMissing',
          `The action ${path} requires the parameter ${wants} to be present in the request body.`,
          [path, wants],
          wants,
        ),
      );
    if (machine.media.has(slot.id)) return refusal(flavour, 409, base('ResourceInUse', 'There is a medium in it'));
    if (/\/missing\.iso(\?|$)/.test(image))
      return refusal(flavour, 500, base('ResourceAtUriUnauthorized', `The image at ${image} cannot be read`, [image]));
    return () => {
      if (!faults.mediaStaysEmpty) machine.media.set(slot.id, image);
    };
  }
  return refusal(flavour, 404, base('ResourceMissingAtURI', `The resource at the URI ${path} was not found.`, [path]));
}

function resetSystem({ machine, flavour }: WriteContext, body: Body): Write {
  const type = textIn(body, 'ResetType');
  if (type === null)
    return refusal(
      flavour,
      400,
      base('ActionParameterMissing', 'The action requires the parameter ResetType', ['ResetType'], 'ResetType'),
    );
  if (!flavour.resets.includes(type))
    return refusal(
      flavour,
      400,
      base('ActionParameterNotSupported', `The value ${type} for ResetType is not supported`, [type]),
    );
  const on = machine.power === 'On';
  const { already } = flavour;
  const needless = (type === 'On' && on) || (!on && type !== 'On' && type !== 'PushPowerButton' && type !== 'ForceOn');
  if (already && needless) {
    const text = already.silent ? '' : on ? 'Server is already powered ON.' : 'Server is already powered OFF.';
    return refusal(flavour, already.status, {
      id: on ? already.on : already.off,
      text,
      args: [on ? 'Power is on' : 'Power is off'],
    });
  }
  return () => machine.reset(type);
}
