import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { AdmissionRow } from '../users/admission.entity.js';
import type { IdentityRow } from '../users/user.entity.js';

/** What the allow rules said of people's accounts since they signed in. */
@Injectable()
export class Verdicts {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Revocations) revocations: Revocations,
  ) {
    revocations.hold({
      cutOff: () => [],
      erase: (userId) => [database.remove(AdmissionRow, { userId })],
    });
  }

  /** null: nobody has looked since the first sign-in. */
  async find({ provider, subject }: IdentityRow): Promise<AdmissionRow | null> {
    return this.database.repository(AdmissionRow).findOneBy({ provider, subject });
  }

  /** No rule admits the account, and it has not been signed in with since. */
  async isRefused(identity: IdentityRow): Promise<boolean> {
    // A check asks 15 minutes after a sign-in at the earliest: of the same second, the sign-in is the newer.
    return ((await this.find(identity))?.refusedAt ?? 0) > identity.lastUsedAt;
  }

  /** Notes a try now, and what it found; neither: the provider could not say. */
  async note(
    { provider, subject, userId }: IdentityRow,
    { admittedAt, refusedAt }: { admittedAt?: number; refusedAt?: number } = {},
  ): Promise<void> {
    const triedAt = Math.floor(Date.now() / 1000);
    await this.database.commit([
      sql`INSERT INTO admission (provider, subject, user_id, tried_at, admitted_at, refused_at)
      VALUES (${provider}, ${subject}, ${userId}, ${triedAt}, ${admittedAt ?? null}, ${refusedAt ?? null})
      ON CONFLICT (provider, subject) DO UPDATE SET user_id = excluded.user_id, tried_at = excluded.tried_at,
        admitted_at = COALESCE(excluded.admitted_at, admission.admitted_at), refused_at = COALESCE(excluded.refused_at, admission.refused_at)`,
    ]);
  }
}
