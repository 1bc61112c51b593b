import { type Statement, sql } from '../persistence/statement.js';
import { timeId } from '../protocol/time-id.js';
import type { GrantEnd } from './grants.js';

/** Whose Grants: a person's, or a Client's up to the one with the id `upTo` (undefined: all). */
export type GrantsOf = { readonly userId: string } | { readonly clientId: string; readonly upTo?: string | undefined };

/** After every id that `timeId` makes. */
const LAST = 'g';

/**
 * A statement that writes the Event of every living Grant of a person or of a Client, for a commit in which a later statement ends them all at once:
 * one statement, however many there are.
 */
export function eventsOfEnds(of: GrantsOf, { actor, reason, ip, reference }: GrantEnd): Statement {
  const time = Date.now();
  // Sorts after what was made before; the Grant's own id makes each of them another.
  const prefix = `${timeId(time)}-`;
  const detail = JSON.stringify({ reason });
  return 'userId' in of
    ? sql`INSERT INTO event (id, at, type, outcome, actor, user_id, client_id, grant_id, provider, ip, reference, detail)
        SELECT CAST(${prefix} AS text) || id, CAST(${time} AS bigint), 'grant.revoked', 'ok', CAST(${actor} AS text), user_id, client_id, id, provider, CAST(${ip ?? null} AS text), CAST(${reference ?? null} AS text), CAST(${detail} AS text)
        FROM oauth_grant WHERE user_id = ${of.userId} AND revoked_at IS NULL AND expires_at > ${now()}`
    : sql`INSERT INTO event (id, at, type, outcome, actor, user_id, client_id, grant_id, provider, ip, reference, detail)
        SELECT CAST(${prefix} AS text) || id, CAST(${time} AS bigint), 'grant.revoked', 'ok', CAST(${actor} AS text), user_id, client_id, id, provider, CAST(${ip ?? null} AS text), CAST(${reference ?? null} AS text), CAST(${detail} AS text)
        FROM oauth_grant WHERE client_id = ${of.clientId} AND id <= ${of.upTo ?? LAST} AND revoked_at IS NULL AND expires_at > ${now()}`;
}

/** A change of a Client's status, and what it does to its living Grants. */
export interface StandingChange {
  readonly type: string;
  readonly clientId: string;
  readonly actor: string;
  readonly ip?: string | undefined;
  readonly reference?: string | undefined;
  readonly detail: Readonly<Record<string, unknown>>;
  /** The member of the detail that says how many living Grants there are. */
  readonly counted: 'suspends' | 'restores';
}

/** A statement that writes the Event of such a change; it counts the Grants inside the commit, so that none is made or ended between. */
export function eventOfStanding(change: StandingChange): Statement {
  const { type, clientId, actor, ip, reference, detail, counted } = change;
  const time = Date.now();
  const before = `${JSON.stringify(detail).slice(0, -1)},"${counted}":`;
  return sql`INSERT INTO event (id, at, type, outcome, actor, client_id, ip, reference, detail)
    SELECT CAST(${timeId(time)} AS text), CAST(${time} AS bigint), CAST(${type} AS text), 'ok', CAST(${actor} AS text), CAST(${clientId} AS text), CAST(${ip ?? null} AS text), CAST(${reference ?? null} AS text), CAST(${before} AS text) || COUNT(*) || '}'
    FROM oauth_grant WHERE client_id = ${clientId} AND revoked_at IS NULL AND expires_at > ${now()}`;
}

const now = (): number => Math.floor(Date.now() / 1000);
