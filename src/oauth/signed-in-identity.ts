import { Inject, Injectable } from '@nestjs/common';
import type { IdentityRow } from '../users/user.entity.js';
import { Identities } from '../users/identities.js';
import { Browsers } from './browsers.js';
import type { GrantRow } from './grant.entity.js';
import { Grants } from './grants.js';

/** With which of a person's accounts a browser that stays signed in was signed in: what it connects without a new sign-in belongs to that account. */
@Injectable()
export class SignedInIdentity {
  constructor(
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Identities) private readonly identities: Identities,
  ) {}

  /**
   * The account of the newest Grant made in this browser; where that is not known, the one used last.
   * @param uid the browser's name inside Interactions; undefined: unknown  @returns null: the person has no account left
   */
  async of(userId: string, uid: string | undefined): Promise<IdentityRow | null> {
    const payload = uid === undefined ? null : await this.browsers.findByUid(uid);
    const made = await this.grants.newestIdentity(userId, grantIdsIn(payload));
    const [latest, ...others] = await this.identities.byUse(userId);
    const same = [latest, ...others].find((one) => one?.provider === made?.provider && one?.subject === made?.subject);
    return same ?? latest ?? null;
  }
}

/**
 * The account a Grant stands and falls with: the one it was signed in with; where that is not known or no longer the person's, the one used last, of the
 * same provider if there is one. null: the person has none.
 */
export function accountBehind(
  { provider, subject }: GrantRow,
  newestFirst: readonly IdentityRow[],
): IdentityRow | null {
  return (
    newestFirst.find((one) => one.provider === provider && one.subject === subject) ??
    newestFirst.find((one) => one.provider === provider) ??
    newestFirst[0] ??
    null
  );
}

/** The engine keeps the newest Grant of each Client in the browser. */
function grantIdsIn(payload: Record<string, unknown> | null): string[] {
  const authorizations = (payload?.['authorizations'] ?? {}) as Record<string, { grantId?: unknown }>;
  return Object.values(authorizations).flatMap(({ grantId }) => (typeof grantId === 'string' ? [grantId] : []));
}
