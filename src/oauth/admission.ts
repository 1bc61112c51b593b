import { Inject, Injectable, Logger, type OnModuleInit, Optional } from '@nestjs/common';
import { PersonalTokens, type TokenOwner } from '../access/personal-tokens.js';
import { Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import {
  UpstreamGrantDead,
  UpstreamUnavailable,
  type Identifies,
  type Identity,
  type LoginProvider,
  type Principal,
  type UpstreamTokens,
} from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { UPSTREAM_TOKENS, UpstreamReconnectNeeded, type UpstreamTokenSource } from '../providers/upstream-tokens.js';
import type { IdentityRow } from '../users/user.entity.js';
import { Identities } from '../users/identities.js';
import { RuleBook } from '../users/rule-book.js';
import { Users } from '../users/users.js';
import { Browsers } from './browsers.js';
import type { GrantRow } from './grant.entity.js';
import { Grants } from './grants.js';
import { accountBehind } from './signed-in-identity.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';
import { Verdicts } from './verdicts.js';

/** Seconds between two checks of one account. */
const CHECK_SECONDS = 900;
/** Seconds for which the last verdict stands where no new one can be had. */
const VERDICT_SECONDS = 86_400;

/** What the provider says now. `unsure`: it has no way to say. */
type Answer = { readonly identity: Identity } | 'dead' | 'unsure';

/** Why a person's connections end. */
type Departure = 'not-admitted' | 'upstream-dead' | 'not-checked-for-a-day';

/**
 * Checks `GATEHOUSE_ALLOW` again for people who signed in before: at a refresh of our tokens and, in the background, when a personal token is verified.
 * Somebody who left the organisation loses access; an upstream that is down or cannot say leaves the last verdict standing for a day.
 */
@Injectable()
export class Admission implements OnModuleInit {
  readonly #log = new Logger('Admission');
  readonly #checking = new Map<string, Promise<boolean>>();

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Database) private readonly database: Database,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(Users) private readonly users: Users,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(RuleBook) private readonly rules: RuleBook,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(Verdicts) private readonly verdicts: Verdicts,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Events) private readonly events: Events,
    @Inject(PersonalTokens) private readonly personalTokens: PersonalTokens,
    @Optional() @Inject(UPSTREAM_TOKENS) private readonly upstream?: UpstreamTokenSource,
  ) {}

  onModuleInit(): void {
    this.personalTokens.findOwnersBy((userId) => this.#owner(userId));
  }

  /**
   * May the person of this Grant stay? When not, their connections have been ended.
   * @throws UpstreamUnavailable it cannot be decided now, and the last verdict is a day old
   */
  async check(grantId: string): Promise<boolean> {
    const grant = await this.grants.find(grantId);
    if (!grant) return true;
    const { userId } = grant;
    const identity = accountBehind(grant, await this.identities.byUse(userId));
    // Tools would fail on and on; one new sign-in mends it (real-clients T2).
    if (identity && (await this.vault.find(identity))?.sealed === null)
      return this.#depart(userId, identity, 'upstream-dead');
    if (this.#isOpenToAll) return true;
    return identity ? this.#checkAccount(identity) : this.#depart(userId, null, 'not-admitted');
  }

  /** Resolves when no check is under way; checks behind tool calls are awaited by nobody else. */
  async settled(): Promise<void> {
    while (this.#checking.size > 0) await Promise.allSettled(this.#checking.values());
  }

  get #isOpenToAll(): boolean {
    return this.settings.allow.some(({ kind }) => kind === 'anyone');
  }

  /** For what belongs to no provider: one account by which a rule admits the person is enough. */
  async #checkAnyWayIn(userId: string): Promise<void> {
    for (const identity of await this.identities.of(userId)) if (await this.#checkAccount(identity)) return;
  }

  /** One check at a time for each account: SDKs refresh once for each parallel call. */
  async #checkAccount(identity: IdentityRow): Promise<boolean> {
    const key = `${identity.provider} ${identity.subject}`;
    let checking = this.#checking.get(key);
    if (!checking) {
      checking = this.#decide(identity).finally(() => this.#checking.delete(key));
      this.#checking.set(key, checking);
    }
    return checking;
  }

  async #decide(identity: IdentityRow): Promise<boolean> {
    const { userId } = identity;
    if (await this.verdicts.isRefused(identity)) return this.#depart(userId, identity, 'not-admitted');
    const row = await this.verdicts.find(identity);
    const at = now();
    const verdictAt = Math.max(identity.lastUsedAt, row?.admittedAt ?? 0);
    const stands = verdictAt + VERDICT_SECONDS > at;
    if (verdictAt + CHECK_SECONDS > at || (stands && (row?.triedAt ?? 0) + CHECK_SECONDS > at)) return true;
    let answer: Answer;
    try {
      answer = await this.#ask(identity);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      await this.verdicts.note(identity);
      if (!stands) throw error;
      this.#log.warn(`${identity.provider} cannot be asked about ${userId}: the last verdict stands: ${error.message}`);
      return true;
    }
    if (answer === 'dead') return this.#depart(userId, identity, 'upstream-dead');
    if (answer === 'unsure') {
      await this.verdicts.note(identity);
      return stands || this.#depart(userId, identity, 'not-checked-for-a-day');
    }
    const admitted = this.rules.admission(answer.identity) !== 'no';
    await this.verdicts.note(identity, admitted ? { admittedAt: at } : { refusedAt: at });
    return admitted || this.#depart(userId, identity, 'not-admitted');
  }

  async #ask(who: IdentityRow): Promise<Answer> {
    const provider = this.providers.login(who.provider);
    if (!provider || !canIdentify(provider)) return 'unsure';
    const tokens = await this.#tokensOf(who);
    if (tokens === 'dead' || tokens === 'unsure') return tokens;
    try {
      const identity = await provider.identify(tokens);
      // A provider that names somebody else now has said nothing about this account.
      return identity.subject === who.subject ? { identity } : 'unsure';
    } catch (error) {
      if (error instanceof UpstreamGrantDead) return 'dead';
      throw error;
    }
  }

  /** The account's living upstream tokens, refreshed where they had ended. */
  async #tokensOf(identity: IdentityRow): Promise<UpstreamTokens | 'dead' | 'unsure'> {
    const row = await this.vault.find(identity);
    if (!row) return 'unsure';
    const tokens = this.vault.open(row);
    if (!tokens) return 'dead';
    if (tokens.expiresAt === undefined || tokens.expiresAt > now() + 60) return tokens;
    // Nothing is known of a person whose token has ended by itself: only a refused refresh says that they took it back.
    if (tokens.refreshToken === undefined || !this.upstream) return 'unsure';
    try {
      await this.upstream.tokenFor(bearerOf(identity), identity.provider);
    } catch (error) {
      if (error instanceof UpstreamReconnectNeeded || error instanceof UpstreamGrantDead) return 'dead';
      throw error;
    }
    const refreshed = await this.vault.find(identity);
    return (refreshed && this.vault.open(refreshed)) ?? 'unsure';
  }

  /**
   * Ends the connections that the person made with this account and signs them out of their browsers; everything, when no account is left by which a
   * rule admits them. @returns false
   */
  async #depart(userId: string, identity: IdentityRow | null, why: Departure): Promise<false> {
    const identities = await this.identities.byUse(userId);
    const isLast = why === 'not-admitted' && !(await this.#hasAnotherWayIn(identities, identity));
    const isTheirs = (grant: GrantRow) => {
      const behind = accountBehind(grant, identities);
      return behind?.provider === identity?.provider && behind?.subject === identity?.subject;
    };
    const living = (await this.grants.ofUser(userId)).filter((grant) => isLast || isTheirs(grant));
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
    return false;
  }

  async #hasAnotherWayIn(identities: readonly IdentityRow[], lost: IdentityRow | null): Promise<boolean> {
    for (const identity of identities) {
      if (identity.provider === lost?.provider && identity.subject === lost.subject) continue;
      if (!(await this.verdicts.isRefused(identity))) return true;
    }
    return false;
  }

  /** The owner of a personal token. Their admission is checked behind the call: no tool call waits for an upstream. */
  async #owner(userId: string): Promise<TokenOwner | null> {
    const owner = await this.users.owner(userId);
    if (owner && !this.#isOpenToAll)
      this.#checkAnyWayIn(userId).catch((error: unknown) =>
        this.#log.warn(`whether user ${userId} may stay could not be checked: ${String(error)}`),
      );
    return owner;
  }
}

function canIdentify(provider: LoginProvider): provider is LoginProvider & Identifies {
  return 'identify' in provider && typeof provider.identify === 'function';
}

/** Whose upstream token is wanted, in the form in which tools ask for it. */
function bearerOf({ userId, provider, subject }: IdentityRow): Principal {
  return {
    key: `user:${userId}`,
    user: { id: userId },
    subject: userId,
    client: 'gatehouse',
    scopes: [],
    roles: [],
    via: provider,
    identity: { provider, subject },
    expiresAt: null,
  };
}

const now = (): number => Math.floor(Date.now() / 1000);
