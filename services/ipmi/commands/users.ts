// BMC users (IPMI 2.0 sections 22.26 to 22.30): list, name, access, and the rotation of a password.

import { IpmiError } from '../errors.ts';
import { passwordKey, userBytes } from '../keys.ts';
import { type Ask, atLeast, inRange, text } from './ask.ts';

export interface BmcUser {
  /** 1 to 63; 1 is the nameless user. */
  id: number;
  name: string;
  enabled: boolean | undefined;
  /** May log in by IPMI messages on this channel. */
  messaging: boolean;
  linkAuth: boolean;
  callbackOnly: boolean;
  /** Privilege limit 1 to 5; 15 is "no access". */
  privilege: number;
}

interface UserAccess {
  most: number;
  enabled: boolean | undefined;
  byte: number;
}

async function access(ask: Ask, id: number, channel: number): Promise<UserAccess> {
  const data = atLeast(await ask(0x06, 0x44, [channel, id]), 4, 'Get User Access');
  const status = data[1]! >> 6;
  return { most: data[0]! & 0x3f, enabled: status === 1 ? true : status === 2 ? false : undefined, byte: data[3]! };
}

/** All users the BMC has room for; names that cannot be read (no name set, code 0xcc) are empty. */
export async function listUsers(ask: Ask, channel = 0x0e): Promise<BmcUser[]> {
  const users: BmcUser[] = [];
  let most = 1;
  for (let id = 1; id <= most; id++) {
    const found = await access(ask, id, channel);
    if (id === 1) most = Math.max(1, found.most);
    const name = await ask(0x06, 0x46, [id], { accept: [0xcc, 0xcb, 0xc9] });
    users.push({
      id,
      name: name[0] === 0 ? text(name.subarray(1, 17)) : '',
      enabled: found.enabled,
      callbackOnly: (found.byte & 0x40) !== 0,
      linkAuth: (found.byte & 0x20) !== 0,
      messaging: (found.byte & 0x10) !== 0,
      privilege: found.byte & 0x0f,
    });
  }
  return users;
}

const userId = (id: number) => inRange(id, 1, 63, 'user id');

export async function setUserName(ask: Ask, id: number, name: string): Promise<void> {
  const field = Buffer.alloc(16);
  field.set(userBytes(name));
  await ask(0x06, 0x45, [userId(id), ...field]);
}

const PASSWORD_CODES = {
  128: 'password test failed: wrong password',
  129: 'password test failed: stored with the other size',
};

/** Set User Password (section 22.30). `size` 20 unless the BMC keeps 16 only; a password longer than `size` is refused here. */
async function password(
  ask: Ask,
  id: number,
  operation: number,
  secret: string,
  size: 16 | 20,
  accept?: readonly number[],
): Promise<Buffer> {
  const key = passwordKey(secret);
  if (Buffer.byteLength(secret) > size) throw new IpmiError('bad-argument', `the password has more than ${size} bytes`);
  const head = size === 20 ? 0x80 | userId(id) : userId(id);
  return ask(
    0x06,
    0x47,
    [head, operation, ...key.subarray(0, size)],
    accept ? { codes: PASSWORD_CODES, accept } : { codes: PASSWORD_CODES },
  );
}

export async function setUserPassword(ask: Ask, id: number, secret: string, size: 16 | 20 = 20): Promise<void> {
  await password(ask, id, 2, secret, size);
}

/** Whether the BMC holds this password for the user. */
export async function testUserPassword(ask: Ask, id: number, secret: string, size: 16 | 20 = 20): Promise<boolean> {
  const answer = await password(ask, id, 3, secret, size, [0x80, 0x81]);
  return answer[0] === 0;
}

export async function setUserEnabled(ask: Ask, id: number, enabled: boolean): Promise<void> {
  await ask(0x06, 0x47, [userId(id), enabled ? 1 : 0]);
}

/** Set User Access: privilege limit 1 to 5 or 15 (none), and whether IPMI messages are taken from the user on this channel. */
export async function setUserAccess(
  ask: Ask,
  id: number,
  privilege: number,
  messaging: boolean,
  channel = 0x0e,
): Promise<void> {
  const bits = 0x80 | (messaging ? 0x10 : 0) | (channel & 0x0f);
  await ask(0x06, 0x43, [bits, userId(id), inRange(privilege, 1, 15, 'privilege limit'), 0]);
}
