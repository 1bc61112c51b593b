import { Inject, Injectable, Logger } from '@nestjs/common';
import { errors, Provider, type JWKS, type KoaContextWithOIDC } from 'oidc-provider';
import { CallerAddresses } from '../../access/caller-address.js';
import { ProofIds } from '../../access/proof-ids.js';
import { Settings } from '../../config/settings.js';
import { Database } from '../../persistence/database.js';
import { CommitConflict, DatabaseUnavailable } from '../../persistence/faults.js';
import { Seals } from '../../persistence/seals.js';
import { UpstreamUnavailable } from '../../providers/contract.js';
import { Browsers } from '../browsers.js';
import { Clients } from '../clients.js';
import { Grants } from '../grants.js';
import { Interactions } from '../interactions.js';
import { ResourceScopes } from '../resource-scopes.js';
import { Tokens } from '../tokens.js';
import type { EngineStores } from './model-adapter.js';
import { AuthorizeErrors } from './authorize-errors.js';
import { configurationOf } from './configuration.js';
import { DocumentClients } from './document-clients.js';
import { pinUrls, replaceModelParts } from './provider-parts.js';
import { RememberedGrants } from './remembered-grants.js';
import { RememberedPeople } from './remembered-people.js';
import { SignInTraces } from './sign-in-traces.js';
import { answerUnavailable, TokenRequests } from './token-requests.js';
import { inNavigation, Navigation } from './unit.js';

/** What the engine emits when one of the endpoints with client authentication refuses. */
const REFUSALS = ['grant.error', 'revocation.error', 'introspection.error', 'pushed_authorization_request.error'];

/** Makes oidc-provider's Provider out of the rooms' stores and our rules. */
@Injectable()
export class ProviderFactory {
  readonly #log = new Logger('Engine');
  readonly #stores: EngineStores;

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
    @Inject(Clients) clients: Clients,
    @Inject(Grants) grants: Grants,
    @Inject(Tokens) tokens: Tokens,
    @Inject(Browsers) browsers: Browsers,
    @Inject(Interactions) interactions: Interactions,
    @Inject(ProofIds) proofIds: ProofIds,
    @Inject(CallerAddresses) addresses: CallerAddresses,
    @Inject(RememberedPeople) private readonly people: RememberedPeople,
    @Inject(ResourceScopes) private readonly scopes: ResourceScopes,
    @Inject(DocumentClients) private readonly documents: DocumentClients,
    @Inject(RememberedGrants) private readonly remembered: RememberedGrants,
    @Inject(AuthorizeErrors) private readonly errors: AuthorizeErrors,
    @Inject(TokenRequests) private readonly tokenRequests: TokenRequests,
    @Inject(SignInTraces) private readonly traces: SignInTraces,
  ) {
    const callerAddress = (): string | undefined => Provider.ctx && addresses.of(Provider.ctx.req);
    const endpoint = (): string | undefined => Provider.ctx?.path;
    this.#stores = { database, clients, grants, tokens, browsers, interactions, proofIds, callerAddress, endpoint };
  }

  /** A Provider that signs with these keys: it fixes them at construction. */
  make(jwks: JWKS): Provider {
    const { settings, documents } = this;
    const provider: Provider = new Provider(
      settings.publicUrl,
      configurationOf(
        {
          settings,
          stores: this.#stores,
          scopesOf: (resource) => this.scopes.of(resource),
          findAccount: (ctx, id) => this.people.find(ctx, id),
          refusedIn: (ctx) => this.people.refusedIn(ctx),
          loadExistingGrant: async (ctx) => {
            const id = await this.remembered.idFor(ctx);
            return id === null ? undefined : provider.Grant.find(id);
          },
          renderError: (ctx, out, error) => this.errors.render(ctx, out, error),
          fetch: (url) => documents.fetch(url instanceof Request ? url.url : url.toString()),
          allowDocumentFetch: (ctx, id) => documents.mayFetch(ctx, id),
          allowDocumentClient: (ctx, id, metadata) => documents.mayUse(ctx, id, metadata),
        },
        { jwks, cookies: this.seals.keys('engine-cookies').map((key) => key.toString('base64url')) },
      ),
    );
    pinUrls(provider, settings.publicUrl);
    replaceModelParts(provider);
    this.#listen(provider);
    return provider;
  }

  #listen(provider: Provider): void {
    provider.use((ctx, next) => keepFromScripts(ctx as KoaContextWithOIDC, next));
    provider.use((ctx, next) => this.tokenRequests.commitAround(ctx as KoaContextWithOIDC, next));
    provider.use((ctx, next) => this.errors.guardRedirects(ctx as KoaContextWithOIDC, next));
    provider.use((ctx, next) => this.#commitAround(ctx as KoaContextWithOIDC, next));
    provider.on('server_error', (ctx: KoaContextWithOIDC, error: Error) => this.errors.explain(ctx, error));
    provider.on('interaction.started', (ctx: KoaContextWithOIDC) => this.traces.began(ctx));
    provider.on('grant.error', (_: KoaContextWithOIDC, error: Error) => this.tokenRequests.noteRefusal(error));
    for (const refusal of REFUSALS)
      (provider as NodeJS.EventEmitter).on(refusal, (ctx: KoaContextWithOIDC, error: Error) => excuse(ctx, error));
    (provider as NodeJS.EventEmitter).on('error', (error: Error) => this.#log.error(error.stack ?? error.message));
  }

  /** Koa middleware: one commit for each request of a browser. */
  async #commitAround(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    if (!ctx.path.startsWith('/authorize')) return next();
    const navigation = new Navigation();
    await inNavigation(navigation, next);
    try {
      if (navigation.statements.length > 0) await this.database.commit(navigation.statements);
    } catch (error) {
      // Only the end of an Interaction is conditional: another request has just finished it.
      if (!(error instanceof CommitConflict) && !(error instanceof DatabaseUnavailable)) throw error;
      const shown =
        error instanceof CommitConflict ? new errors.SessionNotFound('interaction session not found') : error;
      ctx.remove('Location');
      ctx.status = 400;
      await this.errors.render(ctx, { error: 'invalid_request', error_description: 'the sign-in is over' }, shown);
    }
  }
}

/** Koa middleware: the engine lets scripts of other origins read what `/par` says, which is not among the endpoints of the contract (§3) that they may. */
async function keepFromScripts(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
  await next();
  if (ctx.path !== '/par') return;
  for (const name of Object.keys(ctx.response.headers)) if (name.startsWith('access-control-')) ctx.remove(name);
}

/** A client whose keys we could not read may be the right one: `invalid_client` would make SDKs throw their registration away (security.md 35). */
function excuse(ctx: KoaContextWithOIDC, error: Error): void {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof UpstreamUnavailable || cause instanceof DatabaseUnavailable)
      return answerUnavailable(ctx, cause);
}
