import { Inject, Injectable, Logger } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import type { IdentityRow } from '../users/user.entity.js';
import { Identities } from '../users/identities.js';
import { Browsers } from './browsers.js';
import type { GrantRow } from './grant.entity.js';
import { Grants } from './grants.js';
import { accountBehind } from './signed-in-identity.js';
import { Verdicts } from './verdicts.js';

/** Why a person's connections end. */
export type Departure = 'not-admitted' | 'upstream-dead' | 'not-checked-for-a-day';

/** Ends what a person may no longer have. */
@Injectable()
export class Departures {
  readonly #log = new Logger('Admission');

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(Verdicts) private readonly verdicts: Verdicts,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Events) private readonly events: Events,
  ) {}

  /**
   * Ends the connections that the person made with this account and signs them out of their browsers; everything, when no account is left by which a
   * rule admits them. `isNews` false: it was done before, so that only what was made since is left to end.
   */
  async depart(
    userId: string,
    identity: IdentityRow | null,
    { why, isNews }: { why: Departure; isNews: boolean },
  ): Promise<void> {
    const accounts = await this.identities.byUse(userId);
    const isLast = why === 'not-admitted' && !(await this.#hasAnotherWayIn(accounts, identity));
    const isTheirs = (grant: GrantRow) => {
      const behind = accountBehind(grant, accounts);
      return behind?.provider === identity?.provider && behind?.subject === identity?.subject;
    };
    const living = (await this.grants.ofUser(userId)).filter((grant) => isLast || isTheirs(grant));
    if (!isNews && !isLast && living.length === 0) return;
    for (const { id } of living) await this.grants.revoke(id, { actor: 'system', reason: why });
    const event = this.events.record({
      type: 'user.departed',
      outcome: 'refused',
      actor: 'system',
      userId,
      provider: identity?.provider,
      detail: { why },
    });
    if (isLast)
      await this.revocations.revoke(
        [{ kind: 'user', id: userId }],
        [...this.revocations.cutOff(userId, { actor: 'system', reason: why }), event],
      );
    // A browser that stays signed in would get the next connection without asking the provider.
    else await this.database.commit([this.browsers.endAll(userId), event]);
    this.#log.warn(`user ${userId} loses access by ${identity?.provider ?? 'every provider'}: ${why}`);
  }

  async #hasAnotherWayIn(identities: readonly IdentityRow[], lost: IdentityRow | null): Promise<boolean> {
    for (const identity of identities) {
      if (identity.provider === lost?.provider && identity.subject === lost.subject) continue;
      if (!(await this.verdicts.isRefused(identity))) return true;
    }
    return false;
  }
}
