import { Inject, Injectable } from '@nestjs/common';
import { PersonalTokens } from '../access/personal-tokens.js';
import { ScopeCatalogue } from '../access/scope-catalogue.js';
import { Settings } from '../config/settings.js';
import { parseScope } from '../protocol/scope.js';
import type { IdentityKey } from '../providers/contract.js';
import { notGranted } from '../providers/granted-scopes.js';
import { Providers } from '../providers/providers.js';
import { UpstreamScopes } from '../providers/upstream-scopes.js';
import { Grants } from './grants.js';
import { type HeldIdentity, UpstreamTokenVault } from './upstream-token-vault.js';

/** What a connection may do here. */
interface Reach {
  /** Canonical. */
  readonly resource: string;
  readonly scopes: readonly string[];
}

/** Which permissions a sign-in asks of a provider: those that the tools within reach declare, and no others. */
@Injectable()
export class UpstreamAsks {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Providers) private readonly providers: Providers,
    @Inject(UpstreamScopes) private readonly declared: UpstreamScopes,
    @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(PersonalTokens) private readonly personalTokens: PersonalTokens,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
  ) {}

  /** For one connection. Tools are at the MCP endpoint only. */
  within(provider: string, { resource, scopes }: Reach): string[] {
    if (resource !== this.settings.mcpUrl) return [];
    return this.declared.of(provider, (gate) => this.catalogue.missing(scopes, gate).length === 0);
  }

  /**
   * For everything whose tools act as this account: the connections made with it, those made at other providers, and personal tokens. A provider gives a
   * token for what is asked with it, so asking for one connection only would take from the others. `account` without subject: a new one.
   */
  async ofPerson(userId: string, account: { provider: string; subject?: string | undefined }): Promise<string[]> {
    const reaches: Reach[] = [];
    for (const { provider, subject, resource, scope, widened } of await this.grants.ofUser(userId))
      if (provider !== account.provider || account.subject === undefined || subject === account.subject)
        reaches.push({ resource, scopes: [...parseScope(scope), ...parseScope(widened ?? '')] });
    const resource = this.settings.mcpUrl;
    for (const scopes of await this.personalTokens.livingScopes(userId)) reaches.push({ resource, scopes });
    return [...new Set(reaches.flatMap((reach) => this.within(account.provider, reach)))];
  }

  /** Does the account's token lack what the tools of this connection declare? `account` null, or of a provider that is off: nobody could be asked. */
  async lacks(userId: string, account: IdentityKey | null, reach: Reach): Promise<boolean> {
    const provider = account && this.providers.login(account.provider);
    if (!provider) return false;
    const needed = this.within(account.provider, reach);
    if (needed.length === 0) return false;
    const held: HeldIdentity = { userId, provider: account.provider, subject: account.subject };
    const row = await this.vault.find(held);
    const tokens = row && this.vault.open(row);
    return notGranted(provider, tokens?.scopes ?? [], needed).length > 0;
  }
}
