import { Inject, Injectable, Logger } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import type { LoginProvider, RevokesUpstreamTokens, UpstreamTokens } from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import { UpstreamTokenRow } from './upstream-token.entity.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';
import { DEAD } from './upstream-tokens.js';

/** Gives upstream tokens back to the upstreams that made them, when a person takes an account away or is erased. */
@Injectable()
export class UpstreamFarewells {
  readonly #log = new Logger('UpstreamTokens');

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
  ) {}

  /**
   * Reads what is held of a person now. `provider` undefined: of every provider.
   * @returns to be called once it has been removed here: revokes it there, behind the request, as well as the upstream lets us
   */
  async prepare(userId: string, provider?: string): Promise<() => void> {
    const where = provider === undefined ? { userId } : { userId, provider };
    const rows = await this.database.repository(UpstreamTokenRow).findBy(where);
    const held = rows
      .filter(({ sealed }) => sealed !== DEAD)
      .map((row) => ({ id: row.provider, tokens: this.vault.open(row.sealed) }));
    return () => {
      for (const { id, tokens } of held) this.#revoke(this.providers.login(id), tokens);
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
