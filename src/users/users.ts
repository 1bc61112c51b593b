import { Inject, Injectable } from '@nestjs/common';
import type { TokenOwner } from '../access/personal-tokens.js';
import { Revocations } from '../access/revocations.js';
import { Events, stranger } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { DuplicateRow } from '../persistence/faults.js';
import { expecting } from '../persistence/statement.js';
import { timeId } from '../protocol/time-id.js';
import { LoginRefused, type Identity } from '../providers/contract.js';
import { aboutUser, type Circumstances } from './circumstances.js';
import { isSameRoles, rolesRuled, rolesUnder } from './roles.js';
import { RuleBook } from './rule-book.js';
import { IdentityRow, identityRow, UserRow } from './user.entity.js';

/** The person proved who they are, but an administrator blocked them. */
export class PersonBlocked extends LoginRefused {
  constructor(readonly userId: string) {
    super('An administrator has blocked this account.');
  }
}

/** People, found by provider and upstream subject only: an e-mail address never links two of them (OpenID Connect Core §5.7). */
@Injectable()
export class Users {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(RuleBook) private readonly rules: RuleBook,
  ) {}

  /** null: no such person. */
  async find(id: string): Promise<UserRow | null> {
    return this.database.repository(UserRow).findOneBy({ id });
  }

  /** Who a personal token of theirs acts for; null: blocked or gone. */
  async owner(id: string): Promise<TokenOwner | null> {
    const user = await this.find(id);
    if (user?.status !== 'active') return null;
    return { user: { id, name: user.name ?? undefined, email: user.email ?? undefined }, roles: user.roles };
  }

  /** null: nobody has signed in with it. */
  async findByIdentity(provider: string, subject: string): Promise<UserRow | null> {
    const identity = await this.database.repository(IdentityRow).findOneBy({ provider, subject });
    return identity && this.find(identity.userId);
  }

  /**
   * The User of an identity that has just been proved: made at the first sign-in, its profile refreshed at every later one, together with the Event.
   * @throws LoginRefused no rule admits the person  @throws PersonBlocked
   */
  async signIn(identity: Identity, circumstances: Circumstances = {}): Promise<UserRow> {
    const { provider } = identity;
    if (this.rules.admission(identity) !== 'now') {
      const known = await this.findByIdentity(provider, identity.subject);
      await this.#refused(identity, known?.id ?? null, 'no rule admits', circumstances);
      throw new LoginRefused('The rules of this server do not let this account in.');
    }
    for (let attempt = 0; ; attempt++) {
      const known = await this.findByIdentity(provider, identity.subject);
      if (known?.status === 'blocked') {
        await this.#refused(identity, known.id, 'blocked', circumstances);
        throw new PersonBlocked(known.id);
      }
      try {
        return await (known ? this.#greet(known, identity, circumstances) : this.#welcome(identity, circumstances));
      } catch (error) {
        // Two first sign-ins of one person at once: the second finds what the first made.
        if (error instanceof DuplicateRow && attempt === 0) continue;
        throw error;
      }
    }
  }

  async #welcome(identity: Identity, circumstances: Circumstances): Promise<UserRow> {
    const at = now();
    const { roles, ruleRoles } = rolesUnder(this.#isAdministrator(identity), { roles: [], ruleRoles: [] });
    const user: UserRow = {
      id: timeId(Date.now()),
      ...profile(identity),
      status: 'active',
      roles,
      ruleRoles,
      createdAt: at,
      lastSeenAt: at,
    };
    await this.database.commit([
      this.database.insert(UserRow, user),
      this.database.insert(IdentityRow, identityRow(user.id, identity, at)),
      this.events.record(aboutUser('user.created', user.id, { ...circumstances, provider: identity.provider })),
      this.events.record(aboutUser('user.signed_in', user.id, { ...circumstances, provider: identity.provider })),
    ]);
    return user;
  }

  async #greet(user: UserRow, identity: Identity, circumstances: Circumstances): Promise<UserRow> {
    const at = now();
    const fresh = { ...profile(identity), ...rolesUnder(this.#isAdministrator(identity), user), lastSeenAt: at };
    const { provider, subject } = identity;
    const greeted = Object.assign(new UserRow(), user, fresh);
    const statements = [
      expecting(1, this.database.update(UserRow, fresh, { id: user.id })),
      this.database.update(
        IdentityRow,
        { username: identity.username ?? null, email: identity.email ?? null, lastUsedAt: at },
        { provider, subject },
      ),
      this.events.record(aboutUser('user.signed_in', user.id, { ...circumstances, provider })),
    ];
    if (isSameRoles(greeted, user)) await this.database.commit(statements);
    else
      await this.revocations.revoke(
        [{ kind: 'user', id: user.id }],
        [...statements, this.events.record(rolesRuled(user, greeted.roles, circumstances))],
      );
    return greeted;
  }

  #isAdministrator(identity: Identity): boolean {
    return this.rules.administration(identity) === 'now';
  }

  async #refused(identity: Identity, userId: string | null, why: string, circumstances: Circumstances): Promise<void> {
    const { clientId, ip, reference } = circumstances;
    await this.events.write({
      type: 'login.refused',
      outcome: 'refused',
      userId,
      clientId,
      ip,
      reference,
      provider: identity.provider,
      // Of a person known here the Events keep the bare id, so that erasing them leaves nothing personal behind.
      detail:
        userId === null ? { why, ...stranger(identity.provider, identity.subject, accountOf(identity)) } : { why },
    });
  }
}

/** The account as the person would recognise it: address, login name, or the bare subject. */
export function accountOf(identity: Identity): string {
  return identity.email ?? identity.username ?? identity.name ?? identity.subject;
}

function profile(identity: Identity): Pick<UserRow, 'name' | 'email' | 'avatar'> {
  const { name, username, email = null, avatarUrl } = identity;
  return { name: name ?? username ?? null, email, avatar: avatarUrl?.startsWith('https:') ? avatarUrl : null };
}

const now = (): number => Math.floor(Date.now() / 1000);
