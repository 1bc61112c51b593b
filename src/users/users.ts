import { Inject, Injectable } from '@nestjs/common';
import type { TokenOwner } from '../access/personal-tokens.js';
import { type EndedBy, Revocations } from '../access/revocations.js';
import { Events, stranger } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { CommitConflict, DuplicateRow } from '../persistence/faults.js';
import { expecting, type Statement } from '../persistence/statement.js';
import { timeId } from '../protocol/time-id.js';
import { LoginRefused, type Identity } from '../providers/contract.js';
import { AdmissionRow } from './admission.entity.js';
import { RuleBook } from './rule-book.js';
import { IdentityRow, identityRow, UserRow } from './user.entity.js';

/** What `GATEHOUSE_ADMINS` gives. */
const RULE_ROLES: readonly string[] = ['admin'];

/** Who did something to a person, and from where: for the Event. */
export interface Circumstances {
  /** A User id, `admin-token` or `system`; undefined: the person concerned. */
  readonly actor?: string | undefined;
  readonly ip?: string | null | undefined;
  readonly clientId?: string | null | undefined;
  readonly reference?: string | null | undefined;
}

/** What an administrator may change of a person. */
export type UserChange = {
  readonly status?: UserRow['status'] | undefined;
  readonly roles?: readonly string[] | undefined;
};

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

  /** Cuts off every token of the person at once, and refuses them from now on; false: no such person. */
  async block(id: string, circumstances: Circumstances): Promise<boolean> {
    return this.#setStatus(id, 'blocked', circumstances);
  }

  /** Lets the person sign in again; nothing that was cut off comes back. False: no such person. */
  async unblock(id: string, circumstances: Circumstances): Promise<boolean> {
    return this.#setStatus(id, 'active', circumstances);
  }

  /** Sets what an administrator gives; the next sign-in adds what the rules give. False: no such person. */
  async setRoles(id: string, roles: readonly string[], circumstances: Circumstances): Promise<boolean> {
    const user = await this.find(id);
    if (!user) return false;
    const wanted = [...new Set(roles)].sort();
    // Tokens live on, but the cache of verified tokens holds the old roles.
    await this.revocations.revoke(
      [{ kind: 'user', id }],
      [
        expecting(1, this.database.update(UserRow, { roles: wanted, ruleRoles: [] }, { id })),
        this.#event('user.roles_changed', id, circumstances, { detail: { from: user.roles, to: wanted } }),
      ],
    );
    return true;
  }

  /** Gives or takes, between sign-ins, what `GATEHOUSE_ADMINS` gives; roles that an administrator gave stay. */
  async rule(id: string, isAdministrator: boolean): Promise<void> {
    const user = await this.find(id);
    if (!user) return;
    const change = rolesBy(isAdministrator ? RULE_ROLES : [], user);
    if (isSameList(change.roles, user.roles) && isSameList(change.ruleRoles, user.ruleRoles)) return;
    try {
      await this.revocations.revoke(
        [{ kind: 'user', id }],
        [
          expecting(1, this.database.update(UserRow, change, { id, roles: user.roles, ruleRoles: user.ruleRoles })),
          this.#rolesRuled(user, change.roles, { actor: 'system' }),
        ],
      );
    } catch (error) {
      // An administrator was faster; the next check looks at what they left.
      if (!(error instanceof CommitConflict)) throw error;
    }
  }

  /**
   * Sets status and roles in one commit, provided that both still are what the administrator saw in `seen`.
   * @returns false: no such person, or somebody was faster
   */
  async change(seen: UserRow, wanted: UserChange, circumstances: Circumstances): Promise<boolean> {
    const { id } = seen;
    const status = wanted.status ?? seen.status;
    const roles = wanted.roles ? [...new Set(wanted.roles)].sort() : seen.roles;
    const rolesChange = roles.join() !== seen.roles.join();
    const statements = [
      expecting(
        1,
        this.database.update(UserRow, rolesChange ? { status, roles, ruleRoles: [] } : { status }, {
          id,
          status: seen.status,
          roles: seen.roles,
        }),
      ),
      ...(status === 'blocked' && seen.status !== status
        ? this.revocations.cutOff(id, endedBy(id, 'user-blocked', circumstances))
        : []),
      ...(status === seen.status
        ? []
        : [this.#event(status === 'blocked' ? 'user.blocked' : 'user.unblocked', id, circumstances)]),
      ...(rolesChange
        ? [this.#event('user.roles_changed', id, circumstances, { detail: { from: seen.roles, to: roles } })]
        : []),
    ];
    try {
      await this.revocations.revoke([{ kind: 'user', id }], statements);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict && error.index === 0) return false;
      throw error;
    }
  }

  /** Removes the person's name, address and accounts, and cuts off every token; the Events keep the bare id. False: no such person. */
  async erase(id: string, circumstances: Circumstances, alsoRemove: readonly Statement[] = []): Promise<boolean> {
    if (!(await this.find(id))) return false;
    const identities = await this.database.repository(IdentityRow).findBy({ userId: id });
    await this.revocations.revoke(
      [{ kind: 'user', id }],
      [
        this.database.remove(IdentityRow, { userId: id }),
        this.database.remove(AdmissionRow, { userId: id }),
        expecting(1, this.database.remove(UserRow, { id })),
        ...this.revocations.erase(id, endedBy(id, 'user-erased', circumstances)),
        ...identities.map(({ provider, subject }) => this.events.forgetStranger(provider, subject)),
        ...alsoRemove,
        this.#event('user.erased', id, circumstances),
      ],
    );
    return true;
  }

  async #setStatus(id: string, status: UserRow['status'], circumstances: Circumstances): Promise<boolean> {
    const user = await this.find(id);
    if (!user) return false;
    if (user.status === status) return true;
    const change = [
      expecting(1, this.database.update(UserRow, { status }, { id })),
      ...(status === 'blocked' ? this.revocations.cutOff(id, endedBy(id, 'user-blocked', circumstances)) : []),
      this.#event(status === 'blocked' ? 'user.blocked' : 'user.unblocked', id, circumstances),
    ];
    await (status === 'blocked'
      ? this.revocations.revoke([{ kind: 'user', id }], change)
      : this.database.commit(change));
    return true;
  }

  async #welcome(identity: Identity, circumstances: Circumstances): Promise<UserRow> {
    const at = now();
    const ruleRoles = this.#ruleRoles(identity);
    const user: UserRow = {
      id: timeId(Date.now()),
      ...profile(identity),
      status: 'active',
      roles: ruleRoles,
      ruleRoles,
      createdAt: at,
      lastSeenAt: at,
    };
    await this.database.commit([
      this.database.insert(UserRow, user),
      this.database.insert(IdentityRow, identityRow(user.id, identity, at)),
      this.#event('user.created', user.id, circumstances, { provider: identity.provider }),
      this.#event('user.signed_in', user.id, circumstances, { provider: identity.provider }),
    ]);
    return user;
  }

  async #greet(user: UserRow, identity: Identity, circumstances: Circumstances): Promise<UserRow> {
    const at = now();
    const fresh = { ...profile(identity), ...rolesBy(this.#ruleRoles(identity), user), lastSeenAt: at };
    const { provider, subject } = identity;
    const greeted = Object.assign(new UserRow(), user, fresh);
    const statements = [
      expecting(1, this.database.update(UserRow, fresh, { id: user.id })),
      this.database.update(
        IdentityRow,
        { username: identity.username ?? null, email: identity.email ?? null, lastUsedAt: at },
        { provider, subject },
      ),
      this.#event('user.signed_in', user.id, circumstances, { provider }),
    ];
    if (isSameList(greeted.roles, user.roles)) await this.database.commit(statements);
    else
      await this.revocations.revoke(
        [{ kind: 'user', id: user.id }],
        [...statements, this.#rolesRuled(user, greeted.roles, circumstances)],
      );
    return greeted;
  }

  #ruleRoles(identity: Identity): string[] {
    return this.rules.administration(identity) === 'now' ? [...RULE_ROLES] : [];
  }

  #rolesRuled(user: UserRow, to: readonly string[], circumstances: Circumstances): Statement {
    const detail = { from: user.roles, to, by: 'GATEHOUSE_ADMINS' };
    return this.#event('user.roles_changed', user.id, { ...circumstances, actor: 'system' }, { detail });
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

  #event(
    type: string,
    userId: string,
    { actor, ip, clientId, reference }: Circumstances,
    more: { provider?: string; detail?: Record<string, unknown> } = {},
  ): Statement {
    return this.events.record({ type, userId, actor: actor ?? userId, ip, clientId, reference, ...more });
  }
}

/** The account as the person would recognise it: address, login name, or the bare subject. */
export function accountOf(identity: Identity): string {
  return identity.email ?? identity.username ?? identity.name ?? identity.subject;
}

/** Roles in force when the rules give these: what an administrator gave stays theirs to take. */
function rolesBy(
  ruled: readonly string[],
  user: Pick<UserRow, 'roles' | 'ruleRoles'>,
): Pick<UserRow, 'roles' | 'ruleRoles'> {
  const given = user.roles.filter((role) => !user.ruleRoles.includes(role));
  const ruleRoles = ruled.filter((role) => !given.includes(role));
  return { ruleRoles, roles: [...given, ...ruleRoles].sort() };
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.join() === other.join();
}

function profile(identity: Identity): Pick<UserRow, 'name' | 'email' | 'avatar'> {
  const { name, username, email = null, avatarUrl } = identity;
  return { name: name ?? username ?? null, email, avatar: avatarUrl?.startsWith('https:') ? avatarUrl : null };
}

function endedBy(userId: string, reason: string, { actor, ip, reference }: Circumstances): EndedBy {
  return { actor: actor ?? userId, reason, ip: ip ?? undefined, reference: reference ?? undefined };
}

const now = (): number => Math.floor(Date.now() / 1000);
