import { Inject, Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { type Counts, EventCounts } from '../audit/event-counts.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import type { statsSchema } from './system-schemas.js';

type Facts = z.input<typeof statsSchema>;

const HOUR_MS = 3_600_000;

/** How much there is of everything, and how much happens. */
@Injectable()
export class Stats {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(EventCounts) private readonly counts: EventCounts,
  ) {}

  /** As of this moment. */
  async now(): Promise<Facts> {
    const now = Date.now();
    return {
      at: new Date(now).toISOString(),
      ...(await this.#totals(Math.floor(now / 1000))),
      last_hour: await this.#stretch(now, HOUR_MS),
      last_day: await this.#stretch(now, 24 * HOUR_MS),
      last_30_days: await this.#stretch(now, 720 * HOUR_MS),
    };
  }

  async #totals(now: number): Promise<Pick<Facts, 'users' | 'clients' | 'grants' | 'personal_tokens'>> {
    const row = await this.database.row<Record<string, number>>(sql`SELECT
      (SELECT COUNT(*) FROM gatehouse_user) AS users,
      (SELECT COUNT(*) FROM gatehouse_user WHERE status = 'blocked') AS users_blocked,
      (SELECT COUNT(*) FROM gatehouse_user WHERE last_seen_at > ${now - 30 * 86_400}) AS users_seen,
      (SELECT COUNT(*) FROM oauth_client) AS clients,
      (SELECT COUNT(*) FROM oauth_client WHERE status = 'pending') AS clients_pending,
      (SELECT COUNT(*) FROM oauth_client WHERE status = 'blocked') AS clients_blocked,
      (SELECT COUNT(*) FROM oauth_grant WHERE revoked_at IS NULL AND expires_at > ${now}) AS grants_living,
      (SELECT COUNT(*) FROM oauth_grant WHERE revoked_at IS NULL AND expires_at > ${now} AND client_id IN (SELECT id FROM oauth_client WHERE status <> 'active')) AS grants_suspended,
      (SELECT COUNT(*) FROM oauth_grant WHERE revoked_at IS NOT NULL) AS grants_revoked,
      (SELECT COUNT(*) FROM personal_token WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${now})) AS tokens`);
    const count = (name: string): number => row?.[name] ?? 0;
    return {
      users: { total: count('users'), blocked: count('users_blocked'), seen_last_30_days: count('users_seen') },
      clients: { total: count('clients'), pending: count('clients_pending'), blocked: count('clients_blocked') },
      grants: {
        active: count('grants_living') - count('grants_suspended'),
        suspended: count('grants_suspended'),
        revoked: count('grants_revoked'),
      },
      personal_tokens: { active: count('tokens') },
    };
  }

  async #stretch(now: number, length: number): Promise<Facts['last_hour']> {
    const counts = await this.counts.since(now - length, now);
    const total = sumOf(counts, () => true);
    const signIns = sumOf(counts, (key) => key === 'user.signed_in ok');
    const refusedSignIns = sumOf(counts, (key) => /^login\.\S+ (refused|failed)$/.test(key));
    const tries = signIns + refusedSignIns;
    return {
      since: new Date(now - length).toISOString(),
      events: byType(counts),
      sign_ins: signIns,
      refusals: sumOf(counts, (key) => key.endsWith(' refused')),
      sign_in_success: tries === 0 ? null : signIns / tries,
      events_per_hour: total / (length / HOUR_MS),
    };
  }
}

function sumOf(counts: Counts, fits: (key: string) => boolean): number {
  return [...counts].reduce((sum, [key, count]) => (fits(key) ? sum + count : sum), 0);
}

function byType(counts: Counts): Record<string, number> {
  const types: Record<string, number> = {};
  for (const [key, count] of counts) {
    const type = key.split(' ')[0]!;
    types[type] = (types[type] ?? 0) + count;
  }
  return types;
}
