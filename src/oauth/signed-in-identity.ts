import { Inject, Injectable } from '@nestjs/common';
import type { IdentityRow } from '../users/user.entity.js';
import { Users } from '../users/users.js';
import { Browsers } from './browsers.js';
import { Grants } from './grants.js';

/** With which of a person's accounts a browser that stays signed in was signed in: what it connects without a new sign-in belongs to that account. */
@Injectable()
export class SignedInIdentity {
  constructor(
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Users) private readonly users: Users,
  ) {}

  /**
   * The account of the newest Grant made in this browser; where that is not known, the one used last.
   * @param uid the browser's name inside Interactions; undefined: unknown  @returns null: the person has no account left
   */
  async of(userId: string, uid: string | undefined): Promise<IdentityRow | null> {
    const payload = uid === undefined ? null : await this.browsers.findByUid(uid);
    const made = await this.grants.newestIdentity(userId, grantIdsIn(payload));
    const [latest, ...others] = await this.users.identitiesByUse(userId);
    const same = [latest, ...others].find((one) => one?.provider === made?.provider && one?.subject === made?.subject);
    return same ?? latest ?? null;
  }
}

/** The engine keeps the newest Grant of each Client in the browser. */
function grantIdsIn(payload: Record<string, unknown> | null): string[] {
  const authorizations = (payload?.['authorizations'] ?? {}) as Record<string, { grantId?: unknown }>;
  return Object.values(authorizations).flatMap(({ grantId }) => (typeof grantId === 'string' ? [grantId] : []));
}
