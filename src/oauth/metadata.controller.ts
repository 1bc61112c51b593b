import { All, Controller, Header, Inject, Req, type Type } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { CallerAddresses } from '../access/caller-address.js';
import { ScopeCatalogue } from '../access/scope-catalogue.js';
import { Flows } from '../audit/flows.js';
import { Settings } from '../config/settings.js';
import { resourceMetadata, serverMetadata } from '../protocol/server-metadata.js';
import { Providers } from '../providers/providers.js';
import type { NamesAuthorizationServers, TokenVerifier } from '../providers/contract.js';
import { oauthRoute } from './oauth-hooks.js';

/**
 * The controller of RFC 9728 metadata, at the root and with the MCP path inserted and appended: clients probe every variant and find the same facts
 * (real-clients D1, D6).
 */
export function resourceMetadataController({ values }: Settings): Type {
  @Controller()
  class ResourceMetadataController {
    constructor(
      @Inject(Settings) private readonly settings: Settings,
      @Inject(Providers) private readonly providers: Providers,
      @Inject(Flows) private readonly flows: Flows,
      @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
    ) {}

    @All(spellings('oauth-protected-resource', values.mcpPath))
    @Header('cache-control', 'public, max-age=300')
    @RouteConfig(oauthRoute(['GET', 'HEAD']))
    document(@Req() request: FastifyRequest): Record<string, unknown> {
      this.flows.early({
        step: 'discovery',
        ip: this.addresses.of(request.raw),
        traits: { userAgent: request.headers['user-agent'] },
      });
      const { defaultScopes, requiredScopes } = this.settings.values;
      return resourceMetadata({
        resource: this.settings.mcpUrl,
        name: 'Gatehouse',
        authorizationServers: authorizationServers(this.settings, this.providers.verifiers),
        scopes: [...new Set([...requiredScopes, ...(this.settings.hasLogin ? defaultScopes : [])])],
        dpop: this.settings.hasLogin,
      });
    }
  }
  return ResourceMetadataController;
}

/** The controller of authorization server metadata; only where people can log in. */
export function serverMetadataController({ values }: Settings): Type {
  @Controller()
  class ServerMetadataController {
    constructor(
      @Inject(Settings) private readonly settings: Settings,
      @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
    ) {}

    @All([
      ...spellings('oauth-authorization-server', values.mcpPath),
      ...spellings('openid-configuration', values.mcpPath),
    ])
    @Header('cache-control', 'public, max-age=300')
    @RouteConfig(oauthRoute(['GET', 'HEAD']))
    document(): Record<string, unknown> {
      const { defaultScopes, requiredScopes, registration, clientIdDocuments } = this.settings.values;
      const scopes = [...new Set([...defaultScopes, ...requiredScopes, ...this.catalogue.names])];
      return serverMetadata({
        publicUrl: this.settings.publicUrl,
        scopes: scopes.filter((name) => name !== 'openid'),
        registration: registration !== 'closed',
        clientIdDocuments,
      });
    }
  }
  return ServerMetadataController;
}

/** Our own issuer where people log in, and the servers whose tokens the verifiers take (real-clients D5: never mirrored, only named). */
export function authorizationServers(settings: Settings, verifiers: readonly TokenVerifier[]): string[] {
  const foreign = verifiers.flatMap((verifier) =>
    'authorizationServers' in verifier
      ? (verifier as TokenVerifier & NamesAuthorizationServers).authorizationServers
      : [],
  );
  return [...new Set([...(settings.hasLogin ? [settings.publicUrl] : []), ...foreign])];
}

function spellings(document: string, mcpPath: string): string[] {
  return [
    `.well-known/${document}`,
    `.well-known/${document}${mcpPath}`,
    `${mcpPath.slice(1)}/.well-known/${document}`,
  ];
}
