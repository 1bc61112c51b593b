import { Inject, Injectable, Optional } from '@nestjs/common';
import {
  UpstreamGrantDead,
  type Identifies,
  type Identity,
  type LoginProvider,
  type Principal,
  type UpstreamTokens,
} from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { UPSTREAM_TOKENS, UpstreamReconnectNeeded, type UpstreamTokenSource } from '../providers/upstream-tokens.js';
import type { IdentityRow } from '../users/user.entity.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';

/** What the provider says now. `dead`: our tokens are no longer good. `unsure`: it has no way to say. */
export type Answer = { readonly identity: Identity } | 'dead' | 'unsure';

/** Asks a provider again who somebody is, with the sealed tokens of their latest sign-in. */
@Injectable()
export class UpstreamInquiry {
  constructor(
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Optional() @Inject(UPSTREAM_TOKENS) private readonly upstream?: UpstreamTokenSource,
  ) {}

  /** @throws UpstreamUnavailable */
  async ask(who: IdentityRow): Promise<Answer> {
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
