import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import {
  type LoginProvider,
  type Principal,
  type RefreshesUpstreamTokens,
  UpstreamGrantDead,
  type UpstreamTokens,
  UpstreamUnavailable,
} from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { UpstreamReconnectNeeded, type UpstreamToken, type UpstreamTokenSource } from '../providers/upstream-tokens.js';
import { UpstreamTokenRow } from './upstream-token.entity.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';

/** Seconds of life a token must have left for a tool to start with it. */
const AHEAD = 60;
/** Seconds for which one node may refresh: longer than discovery and exchange at their time-outs. */
const LEASE = 30;
/** Milliseconds for which a call waits for another node's refresh, and between two looks. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 100;
/** What `sealed` holds once the upstream said that the tokens are dead: the row stays, so that a refresh of ours ends the Grant. */
export const DEAD = '';

interface Key {
  readonly userId: string;
  readonly provider: LoginProvider;
}

/** Upstream tokens for tools: refreshed ahead of their end, by one node at a time, since many upstreams take a refresh token once only. */
@Injectable()
export class FreshUpstreamTokens implements UpstreamTokenSource {
  readonly #log = new Logger('UpstreamTokens');
  readonly #node = randomUUID();
  readonly #finding = new Map<string, Promise<UpstreamTokens>>();
  /** Refreshed, but the database could not be written: lost, they would cost the person a new sign-in. */
  readonly #unsaved = new Map<string, { readonly from: string; readonly tokens: UpstreamTokens }>();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(Events) private readonly events: Events,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  async tokenFor(principal: Principal, providerId: string): Promise<UpstreamToken> {
    const provider = this.providers.login(providerId);
    if (!provider)
      throw new Error(`a tool wants a token of the provider "${providerId}", and none is on under this id`);
    const userId = principal.user?.id;
    if (userId === undefined) throw this.#reconnect(provider);
    const { accessToken, expiresAt, scopes } = await this.#find({ userId, provider });
    return { provider: providerId, accessToken, expiresAt, scopes };
  }

  async refused(principal: Principal, token: UpstreamToken): Promise<void> {
    const provider = this.providers.login(token.provider);
    const userId = principal.user?.id;
    if (!provider || userId === undefined) return;
    const row = await this.#row({ userId, provider });
    if (!row || row.sealed === DEAD) return;
    const tokens = this.vault.open(row.sealed);
    // A newer token is there already: the refusal concerns one that nobody will use again.
    if (tokens.accessToken !== token.accessToken) return;
    if (!canRefresh(provider) || tokens.refreshToken === undefined) return this.#bury({ userId, provider }, row);
    const ended = this.vault.seal({ ...tokens, expiresAt: 0 });
    await this.#unlessReplaced([
      expecting(
        1,
        sql`UPDATE upstream_token SET sealed = ${ended}, expires_at = ${0} WHERE user_id = ${userId} AND provider = ${provider.id} AND sealed = ${row.sealed}`,
      ),
    ]);
  }

  /** Calls of one person at the same time share one search. */
  #find(key: Key): Promise<UpstreamTokens> {
    const name = `${key.userId} ${key.provider.id}`;
    let finding = this.#finding.get(name);
    if (!finding) {
      finding = this.#search(key).finally(() => this.#finding.delete(name));
      this.#finding.set(name, finding);
    }
    return finding;
  }

  async #search(key: Key): Promise<UpstreamTokens> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    await this.#saveLate(key);
    for (;;) {
      const row = await this.#row(key);
      if (!row || row.sealed === DEAD) throw this.#reconnect(key.provider);
      const tokens = this.vault.open(row.sealed);
      if (tokens.expiresAt === undefined || tokens.expiresAt > now() + AHEAD) return tokens;
      if (!canRefresh(key.provider) || tokens.refreshToken === undefined) {
        if (tokens.expiresAt > now()) return tokens;
        throw this.#reconnect(key.provider);
      }
      if (await this.#lease(key, row)) {
        const refreshed = await this.#refresh(key, { row, refreshToken: tokens.refreshToken });
        if (refreshed) return refreshed;
        continue;
      }
      if (performance.now() > giveUpAt)
        throw new UpstreamUnavailable(`another node is refreshing a token of ${key.provider.id} for too long`);
      await pause(LOOK_MS);
    }
  }

  /** True: this node may refresh. The database's clock decides, since nodes' clocks differ by more than a lease. */
  async #lease({ userId, provider }: Key, row: UpstreamTokenRow): Promise<boolean> {
    const statement =
      this.database.dialect === 'sqlite'
        ? sql`UPDATE upstream_token SET lease_until = CAST(strftime('%s', 'now') AS INTEGER) + ${LEASE}, lease_holder = ${this.#node}
          WHERE user_id = ${userId} AND provider = ${provider.id} AND sealed = ${row.sealed}
            AND (lease_until IS NULL OR lease_until < CAST(strftime('%s', 'now') AS INTEGER))`
        : sql`UPDATE upstream_token SET lease_until = CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) + ${LEASE}, lease_holder = ${this.#node}
          WHERE user_id = ${userId} AND provider = ${provider.id} AND sealed = ${row.sealed}
            AND (lease_until IS NULL OR lease_until < CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT))`;
    return this.#unlessReplaced([expecting(1, statement)]);
  }

  /** null: the row was replaced meanwhile, look again. */
  async #refresh(
    key: Key,
    { row, refreshToken }: { row: UpstreamTokenRow; refreshToken: string },
  ): Promise<UpstreamTokens | null> {
    let tokens: UpstreamTokens;
    try {
      const { idToken } = this.vault.open(row.sealed);
      const fresh = await (key.provider as LoginProvider & RefreshesUpstreamTokens).refresh(refreshToken);
      const known = this.vault.open(row.sealed).scopes;
      // Few upstreams repeat what has not changed.
      tokens = { ...fresh, idToken: fresh.idToken ?? idToken, scopes: fresh.scopes.length > 0 ? fresh.scopes : known };
    } catch (error) {
      if (error instanceof UpstreamGrantDead) {
        this.#log.warn(error.message);
        await this.#bury(key, row);
        return null;
      }
      await this.#release(key);
      throw error;
    }
    this.#unsaved.set(nameOf(key), { from: row.sealed, tokens });
    return (await this.#saveLate(key)) ? tokens : null;
  }

  /** Writes what a refresh brought; false: a sign-in has brought newer ones, or there is nothing to write. */
  async #saveLate(key: Key): Promise<boolean> {
    const unsaved = this.#unsaved.get(nameOf(key));
    if (!unsaved) return false;
    const { from, tokens } = unsaved;
    const saved = await this.#unlessReplaced([
      expecting(
        1,
        sql`UPDATE upstream_token SET sealed = ${this.vault.seal(tokens)}, expires_at = ${tokens.expiresAt ?? null}, lease_until = ${null}, lease_holder = ${null},
        updated_at = ${now()} WHERE user_id = ${key.userId} AND provider = ${key.provider.id} AND sealed = ${from}`,
      ),
    ]);
    this.#unsaved.delete(nameOf(key));
    return saved;
  }

  /** The upstream's word that the tokens are dead counts only for those it was asked about: another node or a sign-in may have brought new ones. */
  async #bury({ userId, provider }: Key, row: UpstreamTokenRow): Promise<void> {
    await this.#unlessReplaced([
      expecting(
        1,
        sql`UPDATE upstream_token SET sealed = ${DEAD}, lease_until = ${null}, lease_holder = ${null}, updated_at = ${now()}
        WHERE user_id = ${userId} AND provider = ${provider.id} AND sealed = ${row.sealed}`,
      ),
      this.events.record({
        type: 'upstream.dead',
        outcome: 'failed',
        actor: 'system',
        userId,
        grantId: row.grantId,
        provider: provider.id,
      }),
    ]);
  }

  async #release({ userId, provider }: Key): Promise<void> {
    await this.database.commit([
      sql`UPDATE upstream_token SET lease_until = ${null}, lease_holder = ${null}
      WHERE user_id = ${userId} AND provider = ${provider.id} AND lease_holder = ${this.#node}`,
    ]);
  }

  /** false: the first statement found its row changed, and nothing was written. Any other failure is one: it must not read as "held". */
  async #unlessReplaced(statements: readonly Statement[]): Promise<boolean> {
    try {
      await this.database.commit([...statements]);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict) return false;
      throw error;
    }
  }

  #row({ userId, provider }: Key): Promise<UpstreamTokenRow | null> {
    return this.database.repository(UpstreamTokenRow).findOneBy({ userId, provider: provider.id });
  }

  #reconnect({ id, label }: LoginProvider): UpstreamReconnectNeeded {
    return new UpstreamReconnectNeeded(
      id,
      `This tool needs your ${label} account, and the connection to it is missing or has ended. To reconnect, sign in with ${label} at ${this.settings.publicUrl}/account, or sign this application out and in again; then repeat the call.`,
    );
  }
}

function canRefresh(provider: LoginProvider): provider is LoginProvider & RefreshesUpstreamTokens {
  return 'refresh' in provider && typeof provider.refresh === 'function';
}

function nameOf({ userId, provider }: Key): string {
  return `${userId} ${provider.id}`;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
