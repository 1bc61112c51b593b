import { Inject, Injectable } from '@nestjs/common';
import { type Revocation, Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { CommitConflict, DuplicateRow } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { LoginRefused, type Identity, type IdentityKey } from '../providers/contract.js';
import { AdmissionRow } from './admission.entity.js';
import { aboutUser, type Circumstances } from './circumstances.js';
import { RuleBook } from './rule-book.js';
import { IdentityRow, identityRow } from './user.entity.js';
import { Users } from './users.js';

/** What ends together with something else, in its commit. */
export interface Ending {
  readonly revocations: readonly Revocation[];
  readonly statements: readonly Statement[];
}

/** The identity belongs to another User already. */
export class IdentityTaken extends Error {
  override readonly name = 'IdentityTaken';
}

/** A person's accounts at providers: one is added by signing in with it, never by an equal e-mail address, and one always stays. */
@Injectable()
export class Identities {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Users) private readonly users: Users,
    @Inject(RuleBook) private readonly rules: RuleBook,
  ) {}

  /** Oldest first. */
  async of(userId: string): Promise<IdentityRow[]> {
    const found = await this.database.repository(IdentityRow).findBy({ userId });
    return found.sort((a, b) => a.createdAt - b.createdAt);
  }

  /** The one most recently signed in with first. */
  async byUse(userId: string): Promise<IdentityRow[]> {
    return (await this.of(userId)).toSorted((a, b) => b.lastUsedAt - a.lastUsedAt || b.createdAt - a.createdAt);
  }

  /** A statement that fails its commit when the account is no longer this person's, and keeps it theirs until the commit. */
  holds(userId: string, { provider, subject }: IdentityKey): Statement {
    const held =
      this.database.dialect === 'postgres'
        ? sql`SELECT 1 FROM identity WHERE provider = ${provider} AND subject = ${subject} AND user_id = ${userId} FOR SHARE`
        : sql`SELECT 1 FROM identity WHERE provider = ${provider} AND subject = ${subject} AND user_id = ${userId}`;
    return expecting(1, held);
  }

  /**
   * One more account for a person who is signed in with another one.
   * @throws IdentityTaken  @throws LoginRefused no rule admits the new account
   */
  async link(userId: string, identity: Identity, circumstances: Circumstances = {}): Promise<void> {
    const { provider } = identity;
    const refused = (why: string) =>
      this.events.record(
        aboutUser('identity.refused', userId, { ...circumstances, provider, outcome: 'refused', detail: { why } }),
      );
    if (this.rules.admission(identity) !== 'now') {
      await this.database.commit([refused('no rule admits')]);
      throw new LoginRefused('The rules of this server do not let this account in.');
    }
    const owner = await this.users.findByIdentity(provider, identity.subject);
    if (owner?.id === userId) return;
    if (owner) {
      await this.database.commit([refused('belongs to another person')]);
      throw new IdentityTaken('this account belongs to another person here');
    }
    try {
      await this.database.commit([
        this.database.insert(IdentityRow, identityRow(userId, identity, Math.floor(Date.now() / 1000))),
        this.events.record(aboutUser('identity.linked', userId, { ...circumstances, provider })),
      ]);
    } catch (error) {
      if (error instanceof DuplicateRow) throw new IdentityTaken('this account belongs to another person here');
      throw error;
    }
  }

  /** Takes an account away from a person, and what ends `alongside` with it; false: it is not theirs, or is their last one. */
  async unlink(
    userId: string,
    { provider, subject }: IdentityKey,
    { alongside, ...circumstances }: Circumstances & { alongside?: Ending } = {},
  ): Promise<boolean> {
    try {
      await this.revocations.revoke(alongside?.revocations ?? [], [
        // Locks the person: of two that take away the last two accounts at once, one must see the other's removal.
        expecting(1, sql`UPDATE gatehouse_user SET last_seen_at = last_seen_at WHERE id = ${userId}`),
        expecting(1, this.database.remove(IdentityRow, { provider, subject, userId })),
        expecting(1, sql`SELECT provider FROM identity WHERE user_id = ${userId} LIMIT 1`),
        this.database.remove(AdmissionRow, { provider, subject }),
        ...(alongside?.statements ?? []),
        this.events.record(aboutUser('identity.unlinked', userId, { ...circumstances, provider })),
      ]);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict) return false;
      throw error;
    }
  }
}
