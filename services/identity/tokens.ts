/** Tokens: random, kept only as a hash, checked against a short-lived cache so that an API call costs no query. */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Store, TokenRow } from './store.ts';

const lifetimeMs = 12 * 3600_000;
/** A revocation in another process is seen after at most this long. */
const cacheMs = 10_000;
const cacheLimit = 5_000;

export interface Tokens {
  issue(user: { id: string }, projectId: string | null, methods: string[]): Promise<{ token: string; row: TokenRow }>;
  /** @throws Fault `unauthorized` */
  find(token: string): Promise<TokenRow>;
  context(token: string, requestId: string): Promise<Context>;
  revoke(token: string): Promise<void>;
  forget(): void;
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export function createTokens(store: Store, clock: Clock): Tokens {
  const cache = new Map<string, { row: TokenRow; until: number }>();

  async function find(token: string): Promise<TokenRow> {
    const known = cache.get(token);
    if (known && known.until > clock.now()) return known.row;
    cache.delete(token);
    const row = await store.token(hashOf(token));
    if (!row) throw fault('unauthorized');
    if (cache.size >= cacheLimit) cache.clear();
    cache.set(token, { row, until: Math.min(clock.now() + cacheMs, row.expires_at.getTime()) });
    return row;
  }

  return {
    async issue(user, projectId, methods) {
      const token = `uc${randomBytes(32).toString('base64url')}`;
      const audit_id = randomBytes(16).toString('base64url');
      const expires_at = new Date(clock.now() + lifetimeMs);
      await store.insertToken({
        hash: hashOf(token),
        audit_id,
        user_id: user.id,
        project_id: projectId,
        methods,
        expires_at,
      });
      return { token, row: await find(token) };
    },
    find,
    async context(token, requestId) {
      const row = await find(token);
      return {
        requestId,
        userId: row.user_id,
        projectId: row.project_id,
        domainId: row.user_domain_id,
        roles: row.roles.map((role) => role.name),
      };
    },
    async revoke(token) {
      cache.delete(token);
      await store.deleteToken(hashOf(token));
    },
    forget: () => cache.clear(),
  };
}

export function tokenBody(row: TokenRow, catalog: unknown) {
  return {
    token: {
      methods: row.methods,
      user: {
        id: row.user_id,
        name: row.user_name,
        domain: { id: row.user_domain_id, name: row.user_domain_name },
        password_expires_at: null,
      },
      audit_ids: [row.audit_id],
      expires_at: keystoneTime(row.expires_at),
      issued_at: keystoneTime(row.issued_at),
      ...(row.project_id && {
        project: {
          id: row.project_id,
          name: row.project_name,
          domain: { id: row.project_domain_id, name: row.project_domain_name },
        },
        is_domain: false,
        roles: row.roles,
        catalog,
      }),
    },
  };
}

/** keystoneauth parses microseconds and a Z. */
const keystoneTime = (date: Date): string => date.toISOString().replace('Z', '000Z');
