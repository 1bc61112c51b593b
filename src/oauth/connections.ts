import { Inject, Injectable } from '@nestjs/common';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import type { IdentityKey, UpstreamTokens } from '../providers/contract.js';
import { Identities } from '../users/identities.js';
import { Users } from '../users/users.js';
import { Attempts, type Finished } from './attempts.js';
import { Consents } from './consents.js';
import { Grants } from './grants.js';
import { type AskedFor, SignInAsk } from './sign-in-ask.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';

/** What a person approved, and who they turned out to be. */
export interface Approval {
  readonly userId: string;
  /** The account they signed in with; null: of a signed-in browser, not known. */
  readonly identity: IdentityKey | null;
  readonly scopes: readonly string[];
  /** The try at a provider that proved it; undefined: the browser was signed in already. */
  readonly login?: { readonly finished: Finished; readonly tokens: UpstreamTokens } | undefined;
}

/** The end of a sign-in: Grant, remembered consent, upstream tokens and Events, in one commit. */
@Injectable()
export class Connections {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Attempts) private readonly attempts: Attempts,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Consents) private readonly consents: Consents,
    @Inject(Users) private readonly users: Users,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(Events) private readonly events: Events,
    @Inject(SignInAsk) private readonly asks: SignInAsk,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
  ) {}

  /** @returns the Grant's id; null: the person was blocked meanwhile, their account taken away, or another tab has finished this sign-in */
  async make(ask: AskedFor, approval: Approval, ip: string): Promise<string | null> {
    const { userId, identity, scopes, login } = approval;
    const user = await this.users.find(userId);
    if (user?.status !== 'active') return null;
    const grant = this.grants.create({
      userId,
      clientId: ask.client.id,
      identity,
      scopes,
      refused: ask.scopes.filter((name) => !scopes.includes(name)),
      resource: ask.resource,
      redirectUri: ask.redirectUri,
      reference: ask.reference,
      ip,
    });
    const subject = { ...this.asks.consentOf(ask, userId), scopes };
    const given = this.events.record({
      type: 'consent.given',
      actor: userId,
      userId,
      clientId: ask.client.id,
      grantId: grant.id,
      provider: identity?.provider,
      ip,
      reference: ask.reference,
      detail: { scopes, redirectUri: ask.redirectUri },
    });
    try {
      await this.database.commit([
        // Of two requests that finish one sign-in, one makes the Grant.
        ...(login ? [this.attempts.use(login.finished)] : []),
        // Of an account that was taken away meanwhile nothing more comes.
        ...(identity ? [this.identities.holds(userId, identity)] : []),
        ...grant.statements,
        await this.consents.remember(subject),
        given,
        ...(login && identity ? this.vault.keep({ ...identity, userId, grantId: grant.id, tokens: login.tokens }) : []),
      ]);
      return grant.id;
    } catch (error) {
      if (error instanceof CommitConflict) return null;
      throw error;
    }
  }
}
