import { Inject, Injectable } from '@nestjs/common';
import { ScopeCatalogue } from '../access/scope-catalogue.js';
import { Settings } from '../config/settings.js';
import { Clients } from './clients.js';
import type { KnownScopes } from './engine/request-fixes.js';

/** Which scopes tokens can have: for each resource, and for each Client. */
@Injectable()
export class ResourceScopes {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
    @Inject(Clients) private readonly clients: Clients,
  ) {}

  /** Every scope that a token for this resource can have. */
  of(resource: string): readonly string[] {
    if (resource === this.settings.adminUrl) return ['admin'];
    const { defaultScopes, requiredScopes } = this.settings.values;
    return [...new Set([...defaultScopes, ...requiredScopes, ...this.catalogue.names])].filter(
      (name) => name !== 'openid',
    );
  }

  /** The scopes that authorization requests of a Client may name, and what an administrator allows it at most. `clientId` null: nobody known. */
  async knownFor(clientId: string | null): Promise<KnownScopes> {
    const client = clientId === null ? null : await this.clients.find(clientId);
    return {
      names: this.of(this.settings.mcpUrl),
      defaults: this.settings.values.defaultScopes,
      limit: client?.allowedScopes ?? null,
    };
  }
}
