import { Inject, Injectable, Logger } from '@nestjs/common';
import type { IdentityKey, LoginProvider, RevokesUpstreamTokens, UpstreamTokens } from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';

/** Gives upstream tokens back to the upstreams that made them, when a person takes an account away or is erased. */
@Injectable()
export class UpstreamFarewells {
  readonly #log = new Logger('UpstreamTokens');

  constructor(
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
  ) {}

  /**
   * Reads what is held of a person now. `account` undefined: of every account.
   * @returns to be called once it has been removed here: revokes it there, behind the request, as well as the upstream lets us
   */
  async prepare(userId: string, account?: IdentityKey): Promise<() => void> {
    const held = (await this.vault.ofUser(userId))
      .filter(({ provider, subject }) => !account || (provider === account.provider && subject === account.subject))
      .map((row) => ({ id: row.provider, tokens: this.vault.open(row) }));
    return () => {
      for (const { id, tokens } of held) if (tokens) this.#revoke(this.providers.login(id), tokens);
    };
  }

  #revoke(provider: LoginProvider | undefined, tokens: UpstreamTokens): void {
    if (!provider || !canRevoke(provider)) return;
    provider
      .revoke(tokens)
      .catch((error: unknown) => this.#log.warn(`${provider.id}: a token could not be revoked: ${String(error)}`));
  }
}

function canRevoke(provider: LoginProvider): provider is LoginProvider & RevokesUpstreamTokens {
  return 'revoke' in provider && typeof provider.revoke === 'function';
}
