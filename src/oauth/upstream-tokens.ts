import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { sha256 } from '../protocol/token.js';
import {
  type IdentityKey,
  type LoginProvider,
  type Principal,
  type RefreshesUpstreamTokens,
  UpstreamGrantDead,
  type UpstreamTokens,
  UpstreamUnavailable,
} from '../providers/contract.js';
import { notGranted } from '../providers/granted-scopes.js';
import { Providers } from '../providers/providers.js';
import {
  UpstreamNotEnabled,
  UpstreamReconnectNeeded,
  type UpstreamToken,
  type UpstreamTokenSource,
} from '../providers/upstream-tokens.js';
import type { UpstreamTokenRow } from './upstream-token.entity.js';
import { type HeldIdentity, type KeptTokens, UpstreamTokenVault } from './upstream-token-vault.js';

/** Seconds of life a token must have left for a tool to start with it. */
const AHEAD = 60;
/** Milliseconds for which a call waits for another node's refresh, and between two looks. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 100;

/** A refresh that one node may make now. */
interface DueRefresh {
  readonly row: UpstreamTokenRow;
  readonly old: KeptTokens;
  readonly refreshToken: string;
}

/** Upstream tokens for tools: refreshed ahead of their end, by one node at a time, since many upstreams take a refresh token once only. */
@Injectable()
export class FreshUpstreamTokens implements UpstreamTokenSource {
  readonly #log = new Logger('UpstreamTokens');
  readonly #node = randomUUID();
  readonly #finding = new Map<string, Promise<KeptTokens>>();
  /** Refreshed, but the database could not be written: lost, they would cost the person a new sign-in. */
  readonly #unsaved = new Map<string, { readonly row: UpstreamTokenRow; readonly tokens: KeptTokens }>();

  constructor(
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(Events) private readonly events: Events,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  async tokenFor(principal: Principal, providerId: string, needed: readonly string[] = []): Promise<UpstreamToken> {
    const provider = this.providers.login(providerId);
    if (!provider) throw new UpstreamNotEnabled(providerId);
    const account = await this.#accountOf(principal, providerId);
    if (!account) throw this.#reconnect(provider);
    const { accessToken, expiresAt, scopes } = await this.#find(account, provider);
    const missing = notGranted(provider, scopes, needed);
    if (missing.length > 0) throw this.#reconnect(provider, missing);
    return { provider: providerId, accessToken, expiresAt, scopes };
  }

  async refused(principal: Principal, token: UpstreamToken): Promise<void> {
    const provider = this.providers.login(token.provider);
    const account = await this.#accountOf(principal, token.provider);
    const row = account && (await this.vault.find(account));
    const tokens = row && this.vault.open(row);
    // A newer token is there already: the refusal concerns one that nobody will use again.
    if (!provider || !tokens || tokens.accessToken !== token.accessToken) return;
    const canBeRenewed = canRefresh(provider) && tokens.refreshToken !== undefined && tokens.renewalOf === undefined;
    if (canBeRenewed) await this.vault.end(row, tokens);
    else await this.#bury(row);
  }

  /** The account that the connection was signed in with; where that is at another provider, or there is none, the one used last at this one. */
  async #accountOf({ user, identity }: Principal, provider: string): Promise<HeldIdentity | null> {
    if (!user) return null;
    if (identity?.provider === provider) return { userId: user.id, ...identity };
    return this.vault.latestIdentity(user.id, provider);
  }

  /** Calls with one account at the same time share one search. */
  #find(account: HeldIdentity, provider: LoginProvider): Promise<KeptTokens> {
    const name = nameOf(account);
    let finding = this.#finding.get(name);
    if (!finding) {
      finding = this.#search(account, provider).finally(() => this.#finding.delete(name));
      this.#finding.set(name, finding);
    }
    return finding;
  }

  async #search(account: HeldIdentity, provider: LoginProvider): Promise<KeptTokens> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    await this.#saveLate(account);
    for (;;) {
      const row = await this.vault.find(account);
      const old = row && this.vault.open(row);
      if (!old) throw this.#reconnect(provider);
      const { expiresAt, refreshToken } = old;
      if (expiresAt === undefined || expiresAt > now() + AHEAD) return old;
      if (!canRefresh(provider) || refreshToken === undefined) {
        if (expiresAt > now()) return old;
        throw this.#reconnect(provider);
      }
      if (await this.vault.lease(row, this.#node)) {
        const refreshed = await this.#refresh(provider, { row, old, refreshToken });
        if (refreshed) return refreshed;
        continue;
      }
      if (performance.now() > giveUpAt)
        throw new UpstreamUnavailable(`another node is refreshing a token of ${provider.id} for too long`);
      await pause(LOOK_MS);
    }
  }

  /** null: the row was replaced meanwhile, look again. */
  async #refresh(
    provider: RefreshesUpstreamTokens,
    { row, old, refreshToken }: DueRefresh,
  ): Promise<KeptTokens | null> {
    let fresh: UpstreamTokens;
    try {
      fresh = await provider.refresh(refreshToken);
    } catch (error) {
      if (error instanceof UpstreamGrantDead) {
        this.#log.warn(error.message);
        await this.#bury(row);
        return null;
      }
      await this.vault.release(row, this.#node);
      throw error;
    }
    // Few upstreams repeat what has not changed.
    const scopes = fresh.scopes.length > 0 ? fresh.scopes : old.scopes;
    const { userinfoClaims, idTokenRenewedAt } = old;
    const tokens: KeptTokens = {
      ...fresh,
      ...(fresh.idToken === undefined
        ? { idToken: old.idToken, idTokenRenewedAt }
        : { idToken: fresh.idToken, idTokenRenewedAt: now() }),
      scopes,
      userinfoClaims,
      renewalOf: old.refused ? sha256(old.accessToken) : undefined,
    };
    this.#unsaved.set(nameOf(row), { row, tokens });
    return (await this.#saveLate(row)) ? tokens : null;
  }

  /** Writes what a refresh brought; false: a sign-in has brought newer ones, or there is nothing to write. */
  async #saveLate(account: IdentityKey): Promise<boolean> {
    const unsaved = this.#unsaved.get(nameOf(account));
    if (!unsaved) return false;
    const saved = await this.vault.replace(unsaved.row, unsaved.tokens);
    this.#unsaved.delete(nameOf(account));
    return saved;
  }

  async #bury(row: UpstreamTokenRow): Promise<void> {
    const { userId, grantId, provider } = row;
    await this.vault.bury(
      row,
      this.events.record({ type: 'upstream.dead', outcome: 'failed', actor: 'system', userId, grantId, provider }),
    );
  }

  /** `missing`: permissions that the upstream did not give; empty: there is no usable token at all. */
  #reconnect({ id, label }: LoginProvider, missing: readonly string[] = []): UpstreamReconnectNeeded {
    const why =
      missing.length > 0
        ? `a permission at your ${label} account that it does not have: ${missing.join(' ')}. To give it`
        : `your ${label} account, and the connection to it is missing or has ended. To reconnect`;
    return new UpstreamReconnectNeeded(
      id,
      `This tool needs ${why}, sign in with ${label} at ${this.settings.publicUrl}/account, or sign this application out and in again; then repeat the call.`,
    );
  }
}

function canRefresh(provider: LoginProvider): provider is LoginProvider & RefreshesUpstreamTokens {
  return 'refresh' in provider && typeof provider.refresh === 'function';
}

/** Ids of providers hold no space. */
function nameOf({ provider, subject }: IdentityKey): string {
  return `${provider} ${subject}`;
}

const now = (): number => Math.floor(Date.now() / 1000);
