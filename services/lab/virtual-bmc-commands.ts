// The commands of a virtual BMC, as a table: what level they need, how many bytes of request, what they do.
// Those of the session itself (log-in, privilege, close) are the protocol's and answered in services/ipmi.

import type { BmcReply, BmcSessionInfo } from '../ipmi/index.ts';
import type { VirtualMachine, VirtualUser } from './virtual-bmc-machine.ts';
import { code, INVALID, long, NO_PARAMETER, type Row, type Run, WRONG_STATE, word } from './virtual-bmc-rows.ts';
import { sensorRows, storageRows } from './virtual-bmc-storage.ts';

const name16 = (text: string): Buffer => {
  const out = Buffer.alloc(16);
  out.set(Buffer.from(text, 'latin1').subarray(0, 16));
  return out;
};

const chassis: readonly [number, Row][] = [
  [0x00, { level: 2, bytes: 0, run: () => [0, 0x20, 0x20, 0x20, 0x20] }],
  [
    0x01,
    {
      level: 2,
      bytes: 0,
      run: ({ chassis: it }) => [
        (it.on ? 1 : 0) | (it.policy << 5),
        it.commanded ? 0x10 : 0,
        0x40 | (it.identifying ? 0x20 : 0),
      ],
    },
  ],
  [
    0x02,
    {
      level: 3,
      bytes: 1,
      run({ chassis: it }, data) {
        const outcome = it.control(data[0]! & 0x0f);
        return outcome === 'taken' ? [] : outcome === 'unknown' ? INVALID : WRONG_STATE;
      },
    },
  ],
  [
    0x04,
    {
      level: 3,
      bytes: 0,
      run({ chassis: it }, data) {
        it.identifying = ((data[1] ?? 0) & 1) === 1 || (data[0] ?? 15) > 0;
        return [];
      },
    },
  ],
  [
    0x06,
    {
      level: 3,
      bytes: 1,
      run({ chassis: it }, data) {
        // 3 asks which policies there are: all three.
        if ((data[0]! & 7) < 3) it.policy = data[0]! & 7;
        return (data[0]! & 7) > 3 ? INVALID : [0x07];
      },
    },
  ],
  [0x07, { level: 2, bytes: 0, run: ({ chassis: it }) => [it.restartCause, 0x0e] }],
  [
    0x08,
    {
      level: 3,
      bytes: 1,
      // Bit 7 of the selector would lock the parameter; nothing here is ever locked.
      run: ({ chassis: it }, data) => (it.setBootParameter(data[0]! & 0x7f, data.subarray(1)) ? [] : NO_PARAMETER),
    },
  ],
  [
    0x09,
    {
      level: 3,
      bytes: 3,
      run({ chassis: it }, data) {
        const bytes = it.bootParameter(data[0]! & 0x7f);
        return bytes ? [1, data[0]! & 0x7f, ...bytes] : NO_PARAMETER;
      },
    },
  ],
  [0x0f, { level: 2, bytes: 0, run: (its) => [60, ...long(Math.floor(its.upSeconds() / 3600))] }],
];

const userOf = (its: VirtualMachine, id: number | undefined): VirtualUser | undefined => its.users[(id ?? 0) & 0x3f];

const setPassword: Run = (its, data) => {
  const user = userOf(its, data[0]);
  if (!user) return INVALID;
  const operation = data[1]! & 3;
  if (operation < 2) {
    user.enabled = operation === 1;
    return [];
  }
  const size = data[0]! & 0x80 ? 20 : 16;
  if (data.length < 2 + size) return code(0xc7);
  const given = data.subarray(2, 2 + size);
  const password = given.subarray(0, given.includes(0) ? given.indexOf(0) : size).toString('utf8');
  if (operation === 3) return user.password === password ? [] : NO_PARAMETER;
  user.password = password;
  return [];
};

const application: readonly [number, Row][] = [
  [0x01, { level: 2, bytes: 0, run: (its) => its.deviceId() }],
  // Cold and warm reset: answered first, as most BMCs do.
  ...[0x02, 0x03].map((cmd): [number, Row] => [
    cmd,
    {
      level: 4,
      bytes: 0,
      run(its) {
        its.onReset();
        return [];
      },
    },
  ]),
  [0x04, { level: 2, bytes: 0, run: () => [0x55, 0] }],
  [0x08, { level: 2, bytes: 0, run: (its) => its.guid }],
  [
    0x22,
    {
      level: 3,
      bytes: 0,
      run: ({ watchdog }) => {
        if (!watchdog.set) return NO_PARAMETER;
        watchdog.running = true;
        return [];
      },
    },
  ],
  [
    0x24,
    {
      level: 3,
      bytes: 6,
      run({ watchdog }, data) {
        Object.assign(watchdog, { set: true, running: false, use: data[0]! & 7, action: data[1]! & 0x77 });
        watchdog.initial = data.readUInt16LE(4);
        return [];
      },
    },
  ],
  [
    0x25,
    {
      level: 2,
      bytes: 0,
      run: ({ watchdog: dog }) => [
        dog.use | (dog.running ? 0x40 : 0),
        ...[dog.action, 0, 0, ...word(dog.initial), ...word(dog.initial)],
      ],
    },
  ],
  [0x2f, { level: 2, bytes: 0, run: () => [0x09] }],
  [
    0x3d,
    {
      level: 2,
      bytes: 1,
      run: (its, _data, session) => [1, its.mostSessions, its.openSessions(), 2, session.privilege, 0x11],
    },
  ],
  [0x41, { level: 2, bytes: 2, run: () => [0x22, 0x04] }],
  // Channel 1: LAN, 802.3; medium and protocol of table 22-28; 7154 is the enterprise number of the IPMI forum itself.
  [
    0x42,
    {
      level: 2,
      bytes: 1,
      run: (_its, data) => ([1, 0x0e].includes(data[0]! & 0x0f) ? [1, 4, 1, 0x80, ...word(7154), 0, 0, 0] : INVALID),
    },
  ],
  [
    0x43,
    {
      level: 4,
      bytes: 3,
      run(its, data) {
        const user = userOf(its, data[1]);
        if (!user) return INVALID;
        if (data[0]! & 0x80) user.messaging = (data[0]! & 0x10) !== 0;
        user.privilege = data[2]! & 0x0f;
        return [];
      },
    },
  ],
  [
    0x44,
    {
      level: 3,
      bytes: 2,
      run(its, data) {
        const user = userOf(its, data[1]);
        if (!user) return INVALID;
        const enabled = its.users.filter((one) => one?.enabled).length;
        const access = (user.messaging ? 0x10 : 0) | user.privilege;
        return [its.users.length - 1, enabled | (user.enabled ? 0x40 : 0x80), 0, access];
      },
    },
  ],
  [
    0x45,
    {
      level: 4,
      bytes: 17,
      run(its, data) {
        const user = userOf(its, data[0]);
        if (!user) return INVALID;
        user.name = data.subarray(1, 17).toString('latin1').replace(/\0.*$/s, '');
        return [];
      },
    },
  ],
  [
    0x46,
    {
      level: 3,
      bytes: 1,
      run(its, data) {
        const user = userOf(its, data[0]);
        return user ? name16(user.name) : INVALID;
      },
    },
  ],
  [0x47, { level: 4, bytes: 2, run: setPassword }],
  [
    0x48,
    {
      level: 2,
      bytes: 6,
      run: (its, data, session) =>
        (data[0]! & 0x3f) === 1 && (data[1]! & 0x0f) === 1 ? its.console.activate(session.id, its.port) : INVALID,
    },
  ],
  [0x49, { level: 2, bytes: 6, run: (its, data) => ((data[0]! & 0x3f) === 1 ? its.console.deactivate() : INVALID) }],
  [
    0x4a,
    {
      level: 2,
      bytes: 1,
      run: (its, data) => ((data[0]! & 0x3f) === 1 ? [1, its.console.owner ? 1 : 0, 0] : INVALID),
    },
  ],
  [0x4b, { level: 2, bytes: 2, run: (its) => [...long(its.console.owner), 1, 0, 0, 0, 0, 0, 0, 0] }],
  [0x4d, { level: 2, bytes: 2, run: () => [0x02, 0, 0, 0] }],
  [0x4e, { level: 2, bytes: 1, run: () => [0x03, 0, 0x0f, 0, 0, 0, 0, 0] }],
];

const transport: readonly [number, Row][] = [
  [
    0x02,
    {
      level: 3,
      bytes: 4,
      run(its, data) {
        // Bit 7: only the revision is wanted.
        if (data[0]! & 0x80) return [0x11];
        const bytes = its.lanParameter(data[1]!);
        return bytes ? [0x11, ...bytes] : NO_PARAMETER;
      },
    },
  ],
  [
    0x21,
    {
      level: 4,
      bytes: 3,
      run(its, data) {
        const kept = its.solParameters.get(data[1]!);
        if (!kept) return NO_PARAMETER;
        kept.set(data.subarray(2, 2 + kept.length));
        if (data[1] === 1) its.console.enabled = (kept[0]! & 1) === 1;
        return [];
      },
    },
  ],
  [
    0x22,
    {
      level: 2,
      bytes: 4,
      run(its, data) {
        if (data[0]! & 0x80) return [0x11];
        const kept = its.solParameters.get(data[1]!);
        return kept ? [0x11, ...kept] : NO_PARAMETER;
      },
    },
  ],
];

const table = new Map<number, Row>(
  (
    [
      [0x00, chassis],
      [0x04, sensorRows],
      [0x06, application],
      [0x0a, storageRows],
      [0x0c, transport],
    ] as const
  ).flatMap(([netfn, rows]) => rows.map(([cmd, row]): [number, Row] => [(netfn << 8) | cmd, row])),
);

/** Carries one command out. */
export function virtualCommand(
  its: VirtualMachine,
  netfn: number,
  cmd: number,
  data: Buffer,
  session: BmcSessionInfo,
): BmcReply {
  const row = table.get((netfn << 8) | cmd);
  if (!row) return code(0xc1);
  if (session.privilege < row.level) return code(0xd4);
  if (data.length < row.bytes) return code(0xc7);
  const outcome = row.run(its, data, session);
  if ('completionCode' in outcome) return outcome;
  return { completionCode: 0, data: outcome instanceof Uint8Array ? outcome : Uint8Array.from(outcome) };
}
