import { type DynamicModule, Module, type OnModuleInit, type Provider, type Type } from '@nestjs/common';
import { Access } from '../access/access.js';
import { AdminTokens } from '../access/admin-tokens.js';
import { DpopProofs } from '../access/dpop.js';
import { ProofIds } from '../access/proof-ids.js';
import { Verifiers } from '../access/verifiers.js';
import { Settings } from '../config/settings.js';
import { UPSTREAM_TOKENS } from '../providers/upstream-tokens.js';
import { UsersModule } from '../users/users.module.js';
import { Admission } from './admission.js';
import { AdminIntrospection } from './admin-introspection.js';
import { Attempts } from './attempts.js';
import { BrowserCookies } from './browser-cookies.js';
import { Browsers } from './browsers.js';
import { callbackController } from './callback.controller.js';
import { CimdDocuments } from './cimd-documents.js';
import { DocumentAdmission } from './document-admission.js';
import { ClientList } from './client-list.js';
import { ClientRemoval } from './client-removal.js';
import { Clients } from './clients.js';
import { Connections } from './connections.js';
import { Consents } from './consents.js';
import { Departures } from './departures.js';
import { AuthorizeErrors } from './engine/authorize-errors.js';
import { DocumentClients } from './engine/document-clients.js';
import { Engine } from './engine/engine.js';
import { ProviderFactory } from './engine/provider-factory.js';
import { RememberedGrants } from './engine/remembered-grants.js';
import { RememberedPeople } from './engine/remembered-people.js';
import { SignInTraces } from './engine/sign-in-traces.js';
import { TokenRequests } from './engine/token-requests.js';
import { TokenTraces } from './engine/token-traces.js';
import { GrantList } from './grant-list.js';
import { Grants } from './grants.js';
import { OauthHoldings } from './holdings.js';
import { Interactions } from './interactions.js';
import { LoginController } from './login.controller.js';
import { resourceMetadataController, serverMetadataController } from './metadata.controller.js';
import { OauthHooks } from './oauth-hooks.js';
import { OauthUpkeep } from './oauth-upkeep.js';
import { OauthController } from './oauth.controller.js';
import { OwnTokens } from './own-tokens.verifier.js';
import { PageHooks } from './pages/page-hooks.js';
import { RegistrationController } from './registration.controller.js';
import { Resealing } from './resealing.js';
import { ResourceScopes } from './resource-scopes.js';
import { SignInAsk } from './sign-in-ask.js';
import { SignIn } from './sign-in.js';
import { SignedInIdentity } from './signed-in-identity.js';
import { SignInRefusals } from './sign-in-refusals.js';
import { SigningKeys } from './signing-keys.js';
import { Tokens } from './tokens.js';
import { UpstreamInquiry } from './upstream-inquiry.js';
import { UpstreamAsks } from './upstream-asks.js';
import { UpstreamFarewells } from './upstream-farewells.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';
import { FreshUpstreamTokens } from './upstream-tokens.js';
import { Verdicts } from './verdicts.js';

const stores: Provider[] = [
  Attempts,
  Browsers,
  CimdDocuments,
  DocumentAdmission,
  ClientList,
  ClientRemoval,
  Clients,
  Consents,
  GrantList,
  Grants,
  Interactions,
  ProofIds,
  SignedInIdentity,
  SigningKeys,
  Tokens,
  UpstreamFarewells,
  UpstreamTokenVault,
  Verdicts,
];
const walk: Provider[] = [BrowserCookies, Connections, PageHooks, SignIn, SignInAsk, SignInRefusals, UpstreamAsks];
const upstream: Provider[] = [FreshUpstreamTokens, { provide: UPSTREAM_TOKENS, useExisting: FreshUpstreamTokens }];
const server: Provider[] = [
  Admission,
  Departures,
  RememberedPeople,
  UpstreamInquiry,
  AdminIntrospection,
  AuthorizeErrors,
  DocumentClients,
  DpopProofs,
  Engine,
  OauthUpkeep,
  OwnTokens,
  ProviderFactory,
  RememberedGrants,
  Resealing,
  ResourceScopes,
  SignInTraces,
  TokenRequests,
  TokenTraces,
];

/** Metadata of the protected resource, and, where people can log in, the authorization server with its pages. */
@Module({})
export class OauthModule {
  static with(settings: Settings): DynamicModule {
    const login: Type[] = [LoginController, callbackController(settings), OauthController, RegistrationController];
    const documents = settings.hasLogin
      ? [resourceMetadataController(settings), serverMetadataController(settings)]
      : [resourceMetadataController(settings)];
    return {
      module: settings.hasLogin ? AuthorizationServerModule : OauthModule,
      global: true,
      imports: [UsersModule],
      controllers: [...(settings.discovery ? documents : []), ...(settings.hasLogin ? login : [])],
      providers: [
        OauthHoldings,
        OauthHooks,
        ...stores,
        ...(settings.hasLogin ? [...walk, ...upstream, ...server] : []),
      ],
      exports: [...stores, ...(settings.hasLogin ? [...walk, ...upstream, Admission, Engine, OwnTokens] : [])],
    };
  }
}

/** Makes our own tokens known to whoever asks who is calling. */
@Module({})
class AuthorizationServerModule implements OnModuleInit {
  constructor(
    private readonly settings: Settings,
    private readonly verifiers: Verifiers,
    private readonly own: OwnTokens,
    private readonly adminTokens: AdminTokens,
    private readonly access: Access,
    private readonly proofs: DpopProofs,
  ) {}

  onModuleInit(): void {
    this.verifiers.addOwn('gth_at_', this.own);
    this.adminTokens.verifyBy((token) => this.own.verifyFor(this.settings.adminUrl, token));
    this.access.useProofCheck((proof) => this.proofs.fault(proof));
  }
}
