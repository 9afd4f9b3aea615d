/**
 * baremetal.rotate-password: another password for the user that we log in as. The new one is chosen and kept (sealed) before the BMC
 * hears of it, proven by a log-in before the old one is forgotten, and each step bears being cut off anywhere: whichever password the
 * BMC holds then, one of the two that we hold is it. Nothing here says a password.
 */
import { randomInt } from 'node:crypto';
import { Fault, fault } from '../../core/errors/index.ts';
import { defineOperation, done, minutes, type Operation, type Run } from '../../core/operations/index.ts';
import {
  type Bmc,
  type BmcAccess,
  type CredentialKeeper,
  passesByItself,
  requireCapability,
} from '../../power/index.ts';
import { requireNode } from '../change.ts';
import { accessOf, passwordField, sealPassword } from '../driver-info.ts';
import { type Ground, nodeSubject } from '../ground.ts';
import { nodeByUuid, patchNode } from '../store/nodes.ts';

/** All four kinds, as vendors' rules want them; no character that a shell, a URL or a keyboard layout would take otherwise. */
const alphabets = ['ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz', '23456789', '-_.'] as const;
/** What every BMC keeps (IPMI 2.0 section 22.30), and 93 bits of chance. */
const length = 16;

export function newPassword(): string {
  const all = alphabets.join('');
  const out: string[] = alphabets.map((alphabet) => alphabet[randomInt(alphabet.length)]!);
  while (out.length < length) out.push(all[randomInt(all.length)]!);
  for (let at = out.length - 1; at > 0; at--) {
    const other = randomInt(at + 1);
    [out[at], out[other]] = [out[other]!, out[at]!];
  }
  return out.join('');
}

interface Both {
  readonly access: BmcAccess;
  readonly password: string;
  readonly sealed: string;
  readonly keeper: CredentialKeeper;
}

export function rotatePasswordOperation(ground: Ground): Operation<null> {
  async function both(run: Run<null>): Promise<Both> {
    const { house } = ground;
    const node = await requireNode(house.db, run.subject.id);
    const access = accessOf(house.secrets, node);
    const sealed = String(run.results.choose ?? '');
    const password = sealPassword.open(house.secrets, node, sealed);
    return { access, password, sealed, keeper: keeperOf(ground.power.bmc(access), access) };
  }

  const keeperOf = (bmc: Bmc, access: BmcAccess) => requireCapability(bmc, 'credentials', access);

  /** Works as somebody who logs in with another password, beside the node's own session. */
  async function as<T>(
    access: BmcAccess,
    password: string,
    work: (keeper: CredentialKeeper) => Promise<T>,
  ): Promise<T> {
    const key = `${access.key} another password`;
    const other = { ...access, key, name: access.name ?? access.key, password };
    try {
      return await work(keeperOf(ground.power.bmc(other), other));
    } finally {
      ground.power.forget(key);
    }
  }

  const refusesUs = (error: unknown) => error instanceof Fault && ['bmc-credentials', 'bmc-user'].includes(error.code);

  return defineOperation<null>({
    kind: 'baremetal.rotate-password',
    definition: 1,
    title: 'give the BMC another password',
    steps: [
      {
        name: 'choose',
        title: 'choose a password and keep it',
        deadlineMs: minutes(2) * ground.speed,
        async do(run) {
          const node = await requireNode(ground.house.db, run.subject.id);
          const access = accessOf(ground.house.secrets, node);
          const most = await keeperOf(ground.power.bmc(access), access).longestPassword(run.signal);
          if (most < length)
            throw fault('bmc-refused', {
              ...{ bmc: access.address, node: access.name ?? access.key, command: 'set its password' },
              text: `it keeps passwords of ${most} bytes, and ours have ${length}`,
            });
          return done(sealPassword.seal(ground.house.secrets, node, newPassword()));
        },
        undo: { none: 'a password that was never set opens nothing' },
      },
      {
        name: 'set',
        title: 'set it on the BMC',
        deadlineMs: minutes(3) * ground.speed,
        retry: { times: 2, delayMs: 2_000 * ground.speed, when: passesByItself },
        async do(run) {
          const { keeper, password } = await both(run);
          await run.assertHeld(30_000);
          try {
            await keeper.setPassword(password, run.signal);
          } catch (error) {
            // Set before we were cut off: the old one no longer opens, and that is what was wanted.
            if (!refusesUs(error) || !(await keeper.proves(password, run.signal))) throw error;
          }
          return done();
        },
        async undo(run) {
          const { access, keeper, password } = await both(run);
          const old = access.password;
          if (await keeper.proves(old, run.signal)) return;
          await keeper.setPassword(old, run.signal).catch(async (error) => {
            if (!refusesUs(error)) throw error;
            await as(access, password, (other) => other.setPassword(old, run.signal));
          });
        },
      },
      {
        name: 'prove',
        title: 'log in with it, and forget the old one',
        deadlineMs: minutes(2) * ground.speed,
        retry: { times: 2, delayMs: 2_000 * ground.speed, when: passesByItself },
        async do(run) {
          const { access, keeper, password, sealed } = await both(run);
          if (access.password !== password && !(await keeper.proves(password, run.signal)))
            throw fault('bmc-password-not-kept', { bmc: access.address, node: access.name ?? access.key });
          return done(null, async (tx) => {
            const node = await requireNode(tx, run.subject.id, true);
            const driverSecrets = { ...node.driverSecrets, [passwordField(node)]: sealed };
            await patchNode(tx, node.uuid, { driverSecrets });
            const { recorder } = ground.house;
            const subject = nodeSubject(node.uuid);
            await recorder.append(tx, 'node.bmc-password', subject, { user: access.username });
            await recorder.append(tx, 'node.updated', subject, { fields: ['driverInfo'] });
          });
        },
        undo: { none: 'it is the last step' },
      },
    ],
    async failed(run, error, tx) {
      if (await nodeByUuid(tx, run.subject.id, true)) await patchNode(tx, run.subject.id, { lastError: error.message });
    },
  });
}
