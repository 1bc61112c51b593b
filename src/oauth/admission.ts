import { Inject, Injectable, Logger, type OnModuleInit, Optional } from '@nestjs/common';
import { PersonalTokens, type TokenOwner } from '../access/personal-tokens.js';
import { Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
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
import { AdmissionRow } from '../users/admission.entity.js';
import type { IdentityRow } from '../users/user.entity.js';
import { Users } from '../users/users.js';
import { Grants } from './grants.js';
import { UpstreamTokenRow } from './upstream-token.entity.js';
import { DEAD } from './upstream-tokens.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';

/** Seconds between two checks of one person at one provider. */
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
    @Inject(Grants) private readonly grants: Grants,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Events) private readonly events: Events,
    @Inject(PersonalTokens) private readonly personalTokens: PersonalTokens,
    @Optional() @Inject(UPSTREAM_TOKENS) private readonly upstream?: UpstreamTokenSource,
  ) {
    revocations.hold({
      cutOff: () => [],
      erase: (userId) => [this.database.remove(AdmissionRow, { userId })],
    });
  }

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
    const { userId, provider } = grant;
    const kept = provider === null ? null : await this.#kept({ userId, provider });
    // Tools would fail on and on; one new sign-in mends it (real-clients T2).
    if (kept?.sealed === DEAD) return this.#depart({ userId, provider }, 'upstream-dead');
    return this.#isOpenToAll || this.#checkPerson(userId, provider);
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
    for (const { provider } of await this.users.identities(userId))
      if (await this.#checkPerson(userId, provider)) return;
  }

  /** One check at a time for each person: SDKs refresh once for each parallel call. */
  async #checkPerson(userId: string, provider: string | null): Promise<boolean> {
    const key = `${userId} ${provider ?? ''}`;
    let checking = this.#checking.get(key);
    if (!checking) {
      checking = this.#decide(userId, provider).finally(() => this.#checking.delete(key));
      this.#checking.set(key, checking);
    }
    return checking;
  }

  async #decide(userId: string, provider: string | null): Promise<boolean> {
    const identity = await this.#identityOf(userId, provider);
    if (!identity) return this.#depart({ userId, provider }, 'not-admitted');
    const row = await this.#row(identity);
    if ((row?.refusedAt ?? 0) >= identity.lastUsedAt) return this.#depart(identity, 'not-admitted');
    const at = now();
    const verdictAt = Math.max(identity.lastUsedAt, row?.admittedAt ?? 0);
    const stands = verdictAt + VERDICT_SECONDS > at;
    if (verdictAt + CHECK_SECONDS > at || (stands && (row?.triedAt ?? 0) + CHECK_SECONDS > at)) return true;
    let answer: Answer;
    try {
      answer = await this.#ask(identity);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      await this.#note(identity, {});
      if (!stands) throw error;
      this.#log.warn(`${identity.provider} cannot be asked about ${userId}: the last verdict stands: ${error.message}`);
      return true;
    }
    if (answer === 'dead') return this.#depart(identity, 'upstream-dead');
    if (answer === 'unsure') {
      await this.#note(identity, {});
      return stands || this.#depart(identity, 'not-checked-for-a-day');
    }
    const admitted = this.users.isAllowed(answer.identity);
    await this.#note(identity, admitted ? { admittedAt: at } : { refusedAt: at });
    return admitted || this.#depart(identity, 'not-admitted');
  }

  /** The account that the person signed in with, or, when it was taken away since, the one used last. */
  async #identityOf(userId: string, provider: string | null): Promise<IdentityRow | null> {
    const newestFirst = (await this.users.identities(userId)).toSorted((a, b) => b.lastUsedAt - a.lastUsedAt);
    return newestFirst.find((one) => one.provider === provider) ?? newestFirst[0] ?? null;
  }

  async #ask(who: IdentityRow): Promise<Answer> {
    const provider = this.providers.login(who.provider);
    if (!provider || !canIdentify(provider)) return 'unsure';
    const tokens = await this.#tokensOf(who);
    if (tokens === 'dead' || tokens === 'unsure') return tokens;
    try {
      const identity = await provider.identify(tokens);
      // Tokens are kept for each person and provider: with two accounts at one provider they may be the other account's.
      return identity.subject === who.subject ? { identity } : 'unsure';
    } catch (error) {
      if (error instanceof UpstreamGrantDead) return 'dead';
      throw error;
    }
  }

  /** The person's living upstream tokens, refreshed where they had ended. */
  async #tokensOf({ userId, provider }: IdentityRow): Promise<UpstreamTokens | 'dead' | 'unsure'> {
    const where = { userId, provider };
    const row = await this.#kept(where);
    if (!row) return 'unsure';
    if (row.sealed === DEAD) return 'dead';
    const tokens = this.vault.open(row.sealed);
    if (tokens.expiresAt === undefined || tokens.expiresAt > now() + 60) return tokens;
    // Nothing is known of a person whose token has ended by itself: only a refused refresh says that they took it back.
    if (tokens.refreshToken === undefined || !this.upstream) return 'unsure';
    try {
      await this.upstream.tokenFor(bearerOf(userId, provider), provider);
    } catch (error) {
      if (error instanceof UpstreamReconnectNeeded || error instanceof UpstreamGrantDead) return 'dead';
      throw error;
    }
    const refreshed = await this.#kept(where);
    return refreshed && refreshed.sealed !== DEAD ? this.vault.open(refreshed.sealed) : 'unsure';
  }

  async #kept({ userId, provider }: { userId: string; provider: string }): Promise<UpstreamTokenRow | null> {
    return this.database.repository(UpstreamTokenRow).findOneBy({ userId, provider });
  }

  async #row({ userId, provider }: IdentityRow): Promise<AdmissionRow | null> {
    return this.database.repository(AdmissionRow).findOneBy({ userId, provider });
  }

  async #note(
    { userId, provider }: IdentityRow,
    { admittedAt, refusedAt }: { admittedAt?: number; refusedAt?: number },
  ): Promise<void> {
    await this.database.commit([
      sql`INSERT INTO admission (user_id, provider, tried_at, admitted_at, refused_at) VALUES (${userId}, ${provider}, ${now()}, ${admittedAt ?? null}, ${refusedAt ?? null})
      ON CONFLICT (user_id, provider) DO UPDATE SET tried_at = excluded.tried_at,
        admitted_at = COALESCE(excluded.admitted_at, admission.admitted_at), refused_at = COALESCE(excluded.refused_at, admission.refused_at)`,
    ]);
  }

  /**
   * Ends the connections that the person made by this provider and signs them out of their browsers; everything, when no account is left by which
   * a rule admits them. @returns false
   */
  async #depart(
    { userId, provider }: { readonly userId: string; readonly provider: string | null },
    why: Departure,
  ): Promise<false> {
    const isLast = why === 'not-admitted' && !(await this.#hasAnotherWayIn(userId, provider));
    const living = (await this.grants.ofUser(userId)).filter((grant) => isLast || grant.provider === provider);
    for (const { id } of living) await this.grants.revoke(id, { actor: 'system', reason: why });
    const event = this.events.record({
      type: 'user.departed',
      outcome: 'refused',
      actor: 'system',
      userId,
      provider,
      detail: { why },
    });
    if (isLast)
      await this.revocations.revoke(
        [{ kind: 'user', id: userId }],
        [...this.revocations.cutOff(userId, { actor: 'system', reason: why }), event],
      );
    // A browser that stays signed in would get the next connection without asking the provider.
    else await this.database.commit([sql`DELETE FROM oauth_browser WHERE user_id = ${userId}`, event]);
    this.#log.warn(`user ${userId} loses access by ${provider ?? 'every provider'}: ${why}`);
    return false;
  }

  async #hasAnotherWayIn(userId: string, provider: string | null): Promise<boolean> {
    for (const identity of await this.users.identities(userId)) {
      if (identity.provider === provider) continue;
      if (((await this.#row(identity))?.refusedAt ?? 0) < identity.lastUsedAt) return true;
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
function bearerOf(userId: string, via: string): Principal {
  return {
    key: `user:${userId}`,
    user: { id: userId },
    subject: userId,
    client: 'gatehouse',
    scopes: [],
    roles: [],
    via,
    expiresAt: null,
  };
}

const now = (): number => Math.floor(Date.now() / 1000);
