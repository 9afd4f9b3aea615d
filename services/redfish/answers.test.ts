// Answers of real BMCs, as public issues and code quote them (facts and forms, the sources named), read by the pure half.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bootAttempts, bootStateOf, judgeBoot } from './boot.ts';
import { REDFISH_ERRORS } from './errors.ts';
import { cleanEtag, ifMatchForms } from './etag.ts';
import { EventSplitter, eventsOf, tellsOfPower } from './events.ts';
import { macOf, memoryOf } from './inventory.ts';
import { isBusy, messagesOf, saidIn } from './message.ts';
import { redfishQuirks } from './quirks.ts';
import { powerOf, resetGoals, resetType } from './reset.ts';
import { actionOf, pathOf } from './resource.ts';
import { sensorOf, thermalSensors } from './sensor.ts';
import { lookAtTask, monitorOf, retryAfterMs } from './task.ts';

const said = (body: unknown) => saidIn(messagesOf(body));

describe('errors', () => {
  const general = 'A general error has occurred. See ExtendedInfo for more information';
  const rows: [string, unknown, string, string[]][] = [
    [
      'iDRAC: already on (dellemc-openmanage-ansible-modules 115); MessageArgs is a list there, and the text "[]" elsewhere',
      {
        error: {
          '@Message.ExtendedInfo': [
            {
              Message: 'Server is already powered ON.',
              MessageArgs: '[]',
              'MessageArgs@odata.count': 0,
              MessageId: 'IDRAC.2.1.PSU501',
              RelatedProperties: [],
              Resolution: 'No response action is required.',
              Severity: 'Informational',
            },
          ],
          code: 'Base.1.5.GeneralError',
          message: general,
        },
      },
      'Server is already powered ON',
      ['PSU501'],
    ],
    [
      'iLO 4: MessageID, no text, the same message twice (goldyfruit/ansible-ilo 1)',
      {
        Messages: [{ MessageArgs: ['Power is off'], MessageID: 'iLO.0.10.InvalidOperationForSystemState' }],
        Type: 'ExtendedError.1.0.0',
        error: {
          '@Message.ExtendedInfo': [
            { MessageArgs: ['Power is off'], MessageID: 'iLO.0.10.InvalidOperationForSystemState' },
          ],
          code: 'iLO.0.10.ExtendedInfo',
          message: 'See @Message.ExtendedInfo for more information.',
        },
      },
      'InvalidOperationForSystemState: Power is off',
      ['InvalidOperationForSystemState'],
    ],
    [
      'one object instead of a list (OpenStack’s client has met it)',
      {
        error: {
          code: 'Base.1.5.GeneralError',
          message: general,
          '@Message.ExtendedInfo': { MessageId: 'Base.1.5.GeneralError', Message: 'Unsupported media type.' },
        },
      },
      'Unsupported media type',
      ['GeneralError'],
    ],
    [
      'AMI: where the settings are (Redfish-Tacklebox 144)',
      {
        error: {
          '@Message.ExtendedInfo': [
            {
              MessageId: 'Ami.1.0.OperationSupportedInFutureStateURI',
              Message:
                'Support of this Operation for Boot Properties is moved to FutureState URI(/redfish/v1/Systems/Self/SD)',
            },
          ],
        },
      },
      'Support of this Operation for Boot Properties is moved to FutureState URI(/redfish/v1/Systems/Self/SD)',
      ['OperationSupportedInFutureStateURI'],
    ],
    ['only a code', { error: { code: 'Base.1.0.InternalError' } }, 'InternalError', ['InternalError']],
    ['a bare error text', { error: 'Unauthorized' }, 'Unauthorized', ['']],
    ['nothing', {}, '', []],
    ['a list', [], '', []],
    ['null', null, '', []],
  ];
  it.each(rows)('%s', (_, body, text, keys) => {
    expect(said(body)).toBe(text);
    expect(messagesOf(body).map(({ key }) => key)).toEqual(keys);
  });

  it('prefers what says something to the general error beside it', () => {
    const body = {
      error: {
        '@Message.ExtendedInfo': [
          { MessageId: 'Base.1.8.GeneralError', Message: general },
          {
            MessageId: 'Base.1.8.PropertyNotWritable',
            Message: 'The property Boot is a read-only property.',
            RelatedProperties: ['#/Boot/Mode'],
          },
        ],
      },
    };
    expect(said(body)).toBe('The property Boot is a read-only property');
    expect(messagesOf(body)[1]?.properties).toEqual(['Boot.Mode']);
  });

  it('keeps control characters and endless texts away from people', () => {
    const body = { error: { message: `\u001b[31mred\n${'x'.repeat(10_000)}` } };
    expect(said(body).length).toBeLessThan(450);
    expect(said(body)).toMatch(/^\[31mred x+…$/);
    const many = {
      error: { '@Message.ExtendedInfo': Array.from({ length: 5_000 }, (_, n) => ({ MessageId: `A.${n}` })) },
    };
    expect(messagesOf(many).length).toBe(16);
  });

  it('knows who is only busy', () => {
    expect(isBusy(messagesOf({ error: { '@Message.ExtendedInfo': [{ MessageId: 'IDRAC.2.8.SYS518' }] } }))).toBe(true);
    expect(isBusy(messagesOf({ error: { '@Message.ExtendedInfo': [{ MessageId: 'IDRAC.2.1.PSU501' }] } }))).toBe(false);
  });
});

describe('the page', () => {
  it('lists every error with its remedy', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/reference/redfish.md'), 'utf8');
    const rows = [...page.slice(page.indexOf('## Errors')).matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(
      ([, code, text]) => [code, text],
    );
    expect(Object.fromEntries(rows)).toEqual(REDFISH_ERRORS);
  });
});

describe('ETags', () => {
  it.each([
    ['W/"586ADDC4"', 'W/"586ADDC4"'],
    // The web server quotes what was quoted (ansible community.general 3268).
    ['""1682532272""', '"1682532272"'],
    ['W/""1682532272""', 'W/"1682532272"'],
    // A session of a real BMC, in OpenStack’s tests.
    ['\'W/"7dc5e2b9"\'', 'W/"7dc5e2b9"'],
    ['1682532272', '1682532272'],
    ['', null],
    ['""', null],
    [undefined, null],
    ['a\r\nX-Evil: 1', null],
    ['x'.repeat(300), null],
  ])('%j is %j', (given, clean) => {
    expect(cleanEtag(given)).toBe(clean);
  });

  it('tries the tag as it came, then the other forms, then none', () => {
    expect(ifMatchForms('W/"a"')).toEqual(['W/"a"', '"a"', 'a', null]);
    expect(ifMatchForms('"a"')).toEqual(['"a"', 'a', null]);
    expect(ifMatchForms('a')).toEqual(['a', '"a"', null]);
    expect(ifMatchForms('"a"', true)).toEqual(['"a"', 'a', '*']);
    expect(ifMatchForms(null)).toEqual([null]);
  });
});

describe('tasks', () => {
  const ok = (status: number, headers = {}) => ({ status, headers });
  it.each([
    [202, {}, 'running'],
    [204, {}, 'done'],
    [200, { TaskState: 'Completed', TaskStatus: 'OK' }, 'done'],
    [200, { TaskState: 'Completed', TaskStatus: 'Critical' }, 'failed'],
    // Tasks that are their own monitor answer 200 from the first moment.
    [200, { TaskState: 'Running', PercentComplete: 40 }, 'running'],
    [200, { TaskState: 'Exception', Messages: [{ Message: 'No.' }] }, 'failed'],
    // Dell’s jobs.
    [200, { JobState: 'Scheduled' }, 'scheduled'],
    [200, { JobState: 'CompletedWithErrors' }, 'failed'],
    [404, {}, 'done'],
    [500, {}, 'failed'],
  ])('%i %j is %s', (status, body, state) => {
    expect(lookAtTask(ok(status), body, false).state).toBe(state);
  });

  it('calls a monitor that was never there a failure', () => {
    expect(lookAtTask(ok(404), {}, true).state).toBe('failed');
  });

  it('finds the monitor on this BMC, whatever host is named', () => {
    expect(monitorOf({ location: 'https://idrac-abc/redfish/v1/TaskService/TaskMonitors/1' }, {})).toBe(
      '/redfish/v1/TaskService/TaskMonitors/1',
    );
    expect(monitorOf({}, { TaskMonitor: '/taskmon/545' })).toBe('/taskmon/545');
    expect(monitorOf({}, { '@odata.type': '#Task.v1_4_3.Task', '@odata.id': '/t/1' })).toBe('/t/1');
    expect(monitorOf({}, {})).toBeNull();
  });

  it('reads Retry-After in seconds, and as a date by the BMC’s own clock', () => {
    expect(retryAfterMs({ 'retry-after': '7' })).toBe(7_000);
    const date = 'Tue, 01 Jan 2002 00:00:00 GMT';
    expect(retryAfterMs({ 'retry-after': 'Tue, 01 Jan 2002 00:00:09 GMT', date })).toBe(9_000);
    expect(retryAfterMs({ 'retry-after': 'soon' })).toBeNull();
  });
});

describe('links', () => {
  it('stay on the BMC', () => {
    expect(pathOf('https://evil.example/redfish/v1/Systems/1')).toBe('/redfish/v1/Systems/1');
    expect(pathOf('//evil.example/x')).toBeNull();
    expect(pathOf('/a b')).toBeNull();
    expect(pathOf('/a\r\nHost: x')).toBeNull();
    expect(pathOf(`/${'a'.repeat(2_000)}`)).toBeNull();
    expect(pathOf('/a#/b')).toBe('/a');
  });

  it('give an action its usual target where it has none', () => {
    const system = { '@odata.id': '/redfish/v1/Systems/1/', Actions: { '#ComputerSystem.Reset': {} } };
    expect(actionOf(system, 'ComputerSystem.Reset', 'ResetType')?.target).toBe(
      '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset',
    );
    expect(actionOf({}, 'ComputerSystem.Reset', 'ResetType')).toBeNull();
  });
});

describe('power', () => {
  it('reads states as what they are', () => {
    expect(['On', 'Off', 'PoweringOn', 'PoweringOff', 'Paused', null, 'on', 7].map(powerOf)).toEqual([
      'on',
      'off',
      'on',
      'on',
      'on',
      null,
      null,
      null,
    ]);
  });

  it('pushes the button only from the state where that does what is wanted', () => {
    expect(resetType('on', 'off', ['PushPowerButton'])).toBe('PushPowerButton');
    expect(resetType('soft off', 'on', ['ForceOff', 'PushPowerButton'])).toBe('PushPowerButton');
    expect(resetType('soft off', 'off', ['PushPowerButton'])).toBeNull();
    expect(resetType('off', 'on', ['On', 'GracefulShutdown'])).toBeNull();
    expect(resetType('reset', 'on', ['PowerCycle'])).toBe('PowerCycle');
    for (const goal of resetGoals) expect(resetType(goal, 'on', null)).not.toBeUndefined();
  });
});

describe('boot', () => {
  const system = (boot: Record<string, unknown>, more = {}) => ({ '@odata.id': '/s', Boot: boot, ...more });
  const context = (boot: Record<string, unknown>, vendor: string | null = null, settings: unknown = null) => ({
    path: '/s',
    system: system(boot),
    settings: settings ? { path: '/s/SD', json: { Boot: settings } } : null,
    model: null,
    quirks: redfishQuirks(vendor),
  });
  const uefi = {
    BootSourceOverrideMode: 'UEFI',
    BootSourceOverrideEnabled: 'Disabled',
    BootSourceOverrideTarget: 'None',
  };
  const pxe = { target: 'Pxe', persistent: false, efi: true } as const;

  it('is none while it is disabled, whatever target stands there', () => {
    expect(bootStateOf(system({ BootSourceOverrideEnabled: 'Disabled', BootSourceOverrideTarget: 'Pxe' }))).toEqual({
      target: null,
      persistent: false,
      efi: null,
    });
  });

  it('leaves the mode out unless it has to change, or the vendor wants it', () => {
    const first = (vendor: string | null, wanted: { efi: boolean }) =>
      bootAttempts(context(uefi, vendor), { ...pxe, ...wanted })[0]?.body;
    const once = { BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: 'Pxe' };
    expect(first(null, { efi: true })).toEqual({ Boot: once });
    expect(first(null, { efi: false })).toEqual({ Boot: { ...once, BootSourceOverrideMode: 'Legacy' } });
    expect(first('Supermicro', { efi: true })).toEqual({ Boot: { ...once, BootSourceOverrideMode: 'UEFI' } });
    expect(first('HPE', { efi: false })).toEqual({ Boot: once });
  });

  it('writes where the properties are', () => {
    const places = (settings: unknown) => bootAttempts(context(uefi, null, settings), pxe).map(({ path }) => path);
    expect(places({ BootSourceOverrideTarget: 'None' })[0]).toBe('/s/SD');
    // Nokia’s settings have no boot properties (OpenStack’s tests): the system first.
    expect(places({})[0]).toBe('/s');
    expect(places({})).toContain('/s/SD');
  });

  it('disables HPE’s with a target', () => {
    expect(bootAttempts(context(uefi, 'HPE'), { target: 'None', persistent: false })[0]?.body).toEqual({
      Boot: { BootSourceOverrideEnabled: 'Disabled', BootSourceOverrideTarget: 'Pxe' },
    });
  });

  it('calls a CD what Supermicro’s model calls it', () => {
    const boot = { ...uefi, 'BootSourceOverrideTarget@Redfish.AllowableValues': ['Pxe', 'Cd', 'UsbCd'] };
    const target = (model: string) =>
      bootAttempts({ ...context(boot, 'Supermicro'), model }, { ...pxe, target: 'Cd' })[0]?.body;
    expect(target('SYS-120U-TNR')).toMatchObject({ Boot: { BootSourceOverrideTarget: 'UsbCd' } });
    expect(target('ARS-111GL-NHR')).toMatchObject({ Boot: { BootSourceOverrideTarget: 'Cd' } });
  });

  it('has nothing to send for a target that is not allowed', () => {
    const boot = { ...uefi, 'BootSourceOverrideTarget@Redfish.AllowableValues': ['Hdd'] };
    expect(bootAttempts(context(boot), pxe)).toEqual([]);
  });

  it('sees a lie: 200, the target kept, and the override off (bmclib 459)', () => {
    const found = bootStateOf(
      system({
        BootSourceOverrideEnabled: 'Disabled',
        BootSourceOverrideTarget: 'Pxe',
        BootSourceOverrideMode: 'Legacy',
      }),
    );
    expect(judgeBoot(found, pxe)).toEqual({ kept: false, differs: ['efi'] });
    // R640 under UEFI (dell/redfish-ansible-module 74).
    const other = bootStateOf(system({ BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: 'UefiTarget' }));
    expect(judgeBoot(other, pxe).kept).toBe(false);
  });
});

describe('sensors and parts', () => {
  it('has no reading of what is absent, and no number of what is a text', () => {
    expect(sensorOf({ Name: 'a', Reading: 'N/A', ReadingUnits: 'Cel', ReadingType: 'Temperature' })).toMatchObject({
      value: null,
      unit: 'degrees C',
      kind: 'temperature',
    });
    const [fan] = thermalSensors({
      Fans: [{ FanName: 'Fan 7', CurrentReading: '31', Units: 'Percent', Status: { Health: 'OK' } }, 7, null],
    });
    expect(fan).toMatchObject({ name: 'Fan 7', value: 31, unit: '%', health: 'ok' });
  });

  it('leaves out empty sockets, and addresses that are none', () => {
    expect(memoryOf({ Id: 'DIMM2', CapacityMiB: null })).toBeNull();
    expect(macOf('B0-7B-25-AA-BB-CC')).toBe('b0:7b:25:aa:bb:cc');
    expect(macOf('00:00:00:00:00:00')).toBeNull();
    expect(macOf('not available')).toBeNull();
  });
});

describe('event streams', () => {
  it('come in pieces of any size', () => {
    const text = 'id: 1\r\ndata: {"a":1}\r\n\r\n: comment\n\ndata: one\ndata: two\n\ndata: unfinished';
    for (const size of [1, 2, 3, 7, 1000]) {
      const splitter = new EventSplitter();
      const found: string[] = [];
      for (let at = 0; at < text.length; at += size) found.push(...splitter.feed(text.slice(at, at + size)));
      expect(found).toEqual(['{"a":1}', 'one\ntwo']);
    }
  });

  it('do not grow without end', () => {
    const splitter = new EventSplitter();
    for (let n = 0; n < 40; n++) expect(splitter.feed('x'.repeat(100_000))).toEqual([]);
    expect(splitter.feed('\n\ndata: y\n\n')).toEqual(['y']);
  });

  it('tell of power in several vendors’ words', () => {
    const event = (MessageId: string) => eventsOf({ Events: [{ MessageId }] })[0];
    for (const id of [
      'ResourceEvent.1.0.ResourcePoweredOn',
      'IDRAC.2.8.SYS1003',
      'iLOEvents.2.1.ServerPoweredOff',
      'OpenBMC.0.1.DCPowerOff',
    ])
      expect(tellsOfPower(event(id)!)).toBe(true);
    expect(tellsOfPower(event('Base.1.0.Success')!)).toBe(false);
    expect(eventsOf(null)).toEqual([]);
    expect(eventsOf({ Events: 'x' })).toEqual([]);
  });
});
