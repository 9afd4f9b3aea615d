/** OS::Heat::WaitConditionHandle: where a script signals; OS::Heat::WaitCondition counts what came. */
import { randomUUID } from 'node:crypto';
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Signal, type Work } from '../engine/handler.ts';
import { dumps, fromPlain } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { dropCredential, ensureCredential, type Holder, refuseZaqar, signalUrl } from '../software/credentials.ts';
import { tempUrl } from '../temp-urls/sign.ts';

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });
/** Heat gives it as a text of JSON, as Python writes it. */
const told = (signal: { [key: string]: Plain }): string => dumps(fromPlain(signal));

const transportOf = ({ properties }: Work): string => String(properties.signal_transport ?? 'TOKEN_SIGNAL');

export interface Report {
  readonly id: string;
  readonly status: string;
  readonly reason: string;
  readonly data: Plain;
}

/** Signals by their ids, the first of each counting; AWS's keys and Heat's are both understood. */
export function reports(signals: readonly Signal[]): Map<string, Report> {
  const out = new Map<string, Report>();
  for (const [index, { body }] of signals.entries()) {
    const map = (typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {}) as {
      [key: string]: Plain;
    };
    const number = index + 1;
    const id = String(map.id ?? map.UniqueId ?? number);
    if (out.has(id)) continue;
    out.set(id, {
      id,
      status: String(map.status ?? map.Status ?? 'SUCCESS'),
      reason: String(map.reason ?? map.Reason ?? `Signal ${number} received`),
      data: map.data ?? map.Data ?? null,
    });
  }
  return out;
}

export const signalMetadata = (signals: readonly Signal[]): Plain =>
  Object.fromEntries([...reports(signals)].map(([id, { status, reason, data }]) => [id, { status, reason, data }]));

export function checkedSignal(body: Plain, { name }: { name: string }): string {
  if (body !== null && (typeof body !== 'object' || Array.isArray(body)))
    throw fault('signal-invalid', { resource: name, reason: 'it is no JSON object with status, id, data and reason' });
  const status = String(
    (body as { [key: string]: Plain } | null)?.status ?? (body as { [key: string]: Plain } | null)?.Status ?? 'SUCCESS',
  );
  if (status !== 'SUCCESS' && status !== 'FAILURE')
    throw fault('signal-invalid', { resource: name, reason: `its status is ${status}, not SUCCESS or FAILURE` });
  return `status:${status}`;
}

async function begin(work: Work): Promise<void> {
  const { desk } = work;
  const transport = transportOf(work);
  refuseZaqar(work, transport);
  const needsUser = transport === 'TOKEN_SIGNAL' || transport === 'HEAT_SIGNAL';
  await work.commit(async (tx) => {
    const credential = await ensureCredential(desk, tx, holderOf(work), { user: needsUser });
    const url =
      transport === 'TEMP_URL_SIGNAL'
        ? tempUrl(desk, holderOf(work), credential, 'PUT')
        : signalUrl(desk, holderOf(work), credential, 'waitcondition', new Date(work.now));
    return { physicalId: randomUUID(), data: { url, user: credential.user as unknown as Plain } };
  });
}

function base(type: string): Handler {
  return {
    type,
    backend: 'database',
    async create(work) {
      if (work.physicalId === null) await begin(work);
      const user = work.data.user as { id: string; projectId: string } | null;
      if (transportOf(work) === 'TOKEN_SIGNAL' && user && work.data.token === undefined)
        work.data.token = await work.desk.identity.issue(user.id, user.projectId);
      return done;
    },
    update: () => done,
    async delete(work) {
      await work.commit(async (tx) => {
        await dropCredential(work.desk, tx, work.id);
        return {};
      });
      return done;
    },
    attributes(work): Record<string, Plain> {
      const { data, desk, stack, name } = work;
      const user = data.user as { id: string; password: string; projectId: string } | null;
      const url = String(data.url ?? '');
      switch (transportOf(work)) {
        case 'CFN_SIGNAL':
        case 'TEMP_URL_SIGNAL':
          return {
            signal: told({ alarm_url: url }),
            curl_cli: `curl -i -X PUT -H 'Content-Type: application/json' '${url}'`,
          };
        case 'HEAT_SIGNAL':
          return {
            signal: told({
              auth_url: desk.authUrl,
              username: user?.id ?? '',
              user_id: user?.id ?? '',
              password: user?.password ?? '',
              project_id: user?.projectId ?? '',
              stack_id: `${stack.name}/${stack.id}`,
              resource_name: name,
              region_name: desk.region,
            }),
          };
        case 'TOKEN_SIGNAL': {
          const endpoint = `${desk.heatUrl}/${user?.projectId}/stacks/${encodeURIComponent(stack.name)}/${stack.id}/resources/${encodeURIComponent(name)}/signal`;
          const token = String(data.token ?? '');
          const curl = `curl -i -X POST -H 'X-Auth-Token: ${token}' -H 'Content-Type: application/json' -H 'Accept: application/json' ${endpoint}`;
          return { endpoint, token, curl_cli: curl, signal: told({ token, endpoint }) };
        }
        default:
          return {};
      }
    },
    signal: checkedSignal,
    metadata: signalMetadata,
  };
}

export const waitConditionHandle: Handler = base('OS::Heat::WaitConditionHandle');
export const updateWaitConditionHandle: Handler = base('OS::Heat::UpdateWaitConditionHandle');
