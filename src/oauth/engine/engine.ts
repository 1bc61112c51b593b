import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { errors, Provider, type JWKS, type KoaContextWithOIDC } from 'oidc-provider';
import { ProofIds } from '../../access/proof-ids.js';
import { ScopeCatalogue } from '../../access/scope-catalogue.js';
import { Events } from '../../audit/events.js';
import { Settings } from '../../config/settings.js';
import { Database } from '../../persistence/database.js';
import { CommitConflict, DatabaseUnavailable } from '../../persistence/faults.js';
import { Seals } from '../../persistence/seals.js';
import { isDocumentUrl, isFault, readClientMetadata } from '../../protocol/client-metadata.js';
import { UpstreamUnavailable } from '../../providers/contract.js';
import { isUsable, redirectMatches } from '../../protocol/redirect-uri.js';
import { mintToken, sha256 } from '../../protocol/token.js';
import { Users } from '../../users/users.js';
import { Browsers } from '../browsers.js';
import { CimdDocuments, DocumentUnavailable, type FetchedDocument } from '../cimd-documents.js';
import { Clients, hashOfClient } from '../clients.js';
import { Consents } from '../consents.js';
import { Grants, type NewGrant } from '../grants.js';
import { Interactions } from '../interactions.js';
import { SignedInIdentity } from '../signed-in-identity.js';
import { SigningKeys } from '../signing-keys.js';
import { Tokens } from '../tokens.js';
import { AuthorizeErrors } from './authorize-errors.js';
import { configurationOf } from './configuration.js';
import type { KnownScopes } from './request-fixes.js';
import { SignInTraces } from './sign-in-traces.js';
import { answerUnavailable, TokenRequests } from './token-requests.js';
import { inNavigation, Navigation } from './unit.js';

/** How often each node looks for a rotated signing key. */
const KEY_POLL_MS = 30_000;
/** Seconds for which `CimdDocuments` remembers that an address could not be read. */
const KEYS_RETRY_AFTER = 30;
/** What the engine emits when one of the endpoints with client authentication refuses. */
const REFUSALS = ['grant.error', 'revocation.error', 'introspection.error', 'pushed_authorization_request.error'];

type RawHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/** An Interaction as the pages see it. */
export interface InteractionDetails {
  readonly uid: string;
  readonly prompt: { readonly name: string };
  /** The authorization request, as fixed: `client_id`, `redirect_uri`, `scope`, `resource`, `state`, … */
  readonly params: Readonly<Record<string, unknown>>;
  /** Who is signed in to this browser; undefined: nobody. */
  readonly session?: { readonly accountId?: string | undefined; readonly uid?: string | undefined } | undefined;
  /** What it was finished with; undefined: it was not. */
  readonly result?: Readonly<Record<string, unknown>> | undefined;
  /** Where a finished one goes on. */
  readonly returnTo: string;
}

/**
 * The authorization server's protocol engine (oidc-provider), behind words of ours. `handle` serves its endpoints; the pages read an Interaction with
 * `interactionDetails`, then end it with `finish` or `refuse`, both of which write the whole response: call `reply.hijack()` before.
 */
@Injectable()
export class Engine implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('Engine');
  #provider!: Provider;
  #callback!: RawHandler;
  #keyIds = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
    @Inject(SigningKeys) private readonly keys: SigningKeys,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Tokens) private readonly tokens: Tokens,
    @Inject(Browsers) private readonly browsers: Browsers,
    @Inject(Interactions) private readonly interactions: Interactions,
    @Inject(Consents) private readonly consents: Consents,
    @Inject(ProofIds) private readonly proofIds: ProofIds,
    @Inject(CimdDocuments) private readonly documents: CimdDocuments,
    @Inject(ScopeCatalogue) private readonly catalogue: ScopeCatalogue,
    @Inject(Users) private readonly users: Users,
    @Inject(SignedInIdentity) private readonly signedInIdentity: SignedInIdentity,
    @Inject(Events) private readonly events: Events,
    @Inject(AuthorizeErrors) private readonly errors: AuthorizeErrors,
    @Inject(TokenRequests) private readonly tokenRequests: TokenRequests,
    @Inject(SignInTraces) private readonly traces: SignInTraces,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.refreshKeys();
    this.keys.onRotated(() => this.refreshKeys());
    this.#timer = setInterval(() => {
      this.refreshKeys().catch((error: unknown) => this.#log.warn(`signing keys were not read: ${String(error)}`));
    }, KEY_POLL_MS);
    this.#timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** Looks for rotated signing keys now; the engine fixes its keys at construction, so a change makes a new one behind the mount. */
  async refreshKeys(): Promise<void> {
    const keys = await this.keys.current();
    const ids = keys.map(({ kid }) => kid).join(' ');
    if (ids === this.#keyIds) return;
    this.#provider = this.#build({ keys });
    this.#callback = this.#provider.callback();
    this.#keyIds = ids;
  }

  /** Serves one of the engine's endpoints on the raw request and response. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    await this.#callback(req, res);
  }

  /** The Interaction whose cookie this browser holds; null: none, over, or its browser has signed out meanwhile. */
  async interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<InteractionDetails | null> {
    try {
      return await this.#provider.interactionDetails(req, res);
    } catch (error) {
      if ((error as { name?: unknown }).name === 'SessionNotFound') return null;
      throw error;
    }
  }

  /**
   * Ends an Interaction well: sign-in and consent at once, then the browser is sent on to the code. Write nothing to the response before but headers.
   * @param done `accountId` is the User id; `grantId` comes from `Grants.create`
   */
  async finish(req: IncomingMessage, res: ServerResponse, done: { accountId: string; grantId: string }): Promise<void> {
    const interaction = await this.#provider.interactionDetails(req, res);
    const browser = await this.#browserOf(req, res);
    if (browser.accountId !== undefined && browser.accountId !== done.accountId) {
      // Somebody else signs in on this browser: the old sign-in ends here, so that the engine needs no page with a script to switch accounts.
      await this.browsers.endByUid(browser.uid);
    }
    const isSame = browser.accountId === done.accountId;
    if (interaction.session && !(isSame && interaction.session.uid === browser.uid)) {
      // Another tab has signed in, or somebody else does here: the engine would refuse an Interaction that remembers the former sign-in.
      delete interaction.session;
      await interaction.persist();
    }
    const consent = { grantId: done.grantId };
    const signedIn = interaction.prompt.name === 'login' || !isSame;
    await this.#provider.interactionFinished(
      req,
      res,
      signedIn ? { login: { accountId: done.accountId }, consent } : { consent },
    );
  }

  /** Who is signed in to the browser that sent this request, whatever tab did it. */
  async #browserOf(
    req: IncomingMessage,
    res: ServerResponse,
  ): Promise<{ uid: string; accountId?: string | undefined }> {
    const { Session } = this.#provider as unknown as {
      Session: { get(context: unknown): Promise<{ uid: string; accountId?: string }> };
    };
    return Session.get(this.#provider.createContext(req, res));
  }

  /** Ends an Interaction with an error for the client: `access_denied`, `temporarily_unavailable`, `server_error`. The person has acted, so it redirects. */
  async refuse(req: IncomingMessage, res: ServerResponse, why: { error: string; description: string }): Promise<void> {
    await this.#provider.interactionFinished(
      req,
      res,
      { error: why.error, error_description: why.description },
      { mergeWithLastSubmission: false },
    );
  }

  /** Makes a Grant with its Event. @returns its id */
  async #createGrant(grant: NewGrant): Promise<string> {
    const { id, statements } = this.grants.create(grant);
    await this.database.commit(statements);
    return id;
  }

  /** The scopes that authorization requests of a Client may name, and what an administrator allows it at most. `clientId` null: nobody known. */
  async knownScopesFor(clientId: string | null): Promise<KnownScopes> {
    const client = clientId === null ? null : await this.clients.find(clientId);
    return {
      names: this.scopesOf(this.settings.mcpUrl),
      defaults: this.settings.values.defaultScopes,
      limit: client?.allowedScopes ?? null,
    };
  }

  /** Every scope that a token for this resource can have. */
  scopesOf(resource: string): readonly string[] {
    if (resource === this.settings.adminUrl) return ['admin'];
    const { defaultScopes, requiredScopes } = this.settings.values;
    return [...new Set([...defaultScopes, ...requiredScopes, ...this.catalogue.names])].filter(
      (name) => name !== 'openid',
    );
  }

  /** Is this metadata acceptable to the engine too? @returns what is wrong; null: nothing */
  async faultOfClient(metadata: Record<string, unknown>): Promise<string | null> {
    try {
      const { Client } = this.#provider as unknown as { Client: { validate(metadata: unknown): Promise<void> } };
      await Client.validate({ client_id: 'candidate', client_secret: 'unused', ...metadata });
      return null;
    } catch (error) {
      const description = (error as { error_description?: unknown }).error_description;
      if (typeof description === 'string') return description;
      throw error;
    }
  }

  #build(jwks: JWKS): Provider {
    const provider = new Provider(
      this.settings.publicUrl,
      configurationOf(
        {
          settings: this.settings,
          stores: {
            database: this.database,
            clients: this.clients,
            grants: this.grants,
            tokens: this.tokens,
            browsers: this.browsers,
            interactions: this.interactions,
            proofIds: this.proofIds,
          },
          scopesOf: (resource) => this.scopesOf(resource),
          findAccount: (_, id) => this.#findAccount(id),
          loadExistingGrant: (ctx) => this.#loadExistingGrant(ctx),
          renderError: (ctx, out, error) => this.errors.render(ctx, out, error),
          fetch: (url) => this.#fetch(url instanceof Request ? url.url : url.toString()),
          allowDocumentFetch: (id) => this.#allowDocumentFetch(id),
          allowDocumentClient: (id, metadata) => this.#allowDocumentClient(id, metadata),
        },
        { jwks, cookies: this.seals.keys('engine-cookies').map((key) => key.toString('base64url')) },
      ),
    );
    this.#pinUrls(provider);
    replaceModelParts(provider);
    provider.use((ctx, next) => keepFromScripts(ctx as KoaContextWithOIDC, next));
    provider.use((ctx, next) => this.tokenRequests.commitAround(ctx as KoaContextWithOIDC, next));
    provider.use((ctx, next) => this.errors.guardRedirects(ctx as KoaContextWithOIDC, next));
    provider.use((ctx, next) => this.#commitAround(ctx as KoaContextWithOIDC, next));
    provider.on('server_error', (ctx: KoaContextWithOIDC, error: Error) => this.errors.explain(ctx, error));
    provider.on('interaction.started', (ctx: KoaContextWithOIDC) => this.traces.began(ctx));
    provider.on('grant.error', (ctx: KoaContextWithOIDC, error: Error) => this.tokenRequests.noteRefusal(ctx, error));
    for (const refusal of REFUSALS)
      (provider as NodeJS.EventEmitter).on(refusal, (ctx: KoaContextWithOIDC, error: Error) => excuse(ctx, error));
    (provider as NodeJS.EventEmitter).on('error', (error: Error) => this.#log.error(error.stack ?? error.message));
    return provider;
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

  /** Every URL comes from GATEHOUSE_PUBLIC_URL, never from `Host` or `X-Forwarded-*` (security.md 45). */
  #pinUrls(provider: Provider): void {
    const { protocol, host } = new URL(this.settings.publicUrl);
    Object.defineProperties(provider.request, {
      protocol: { get: () => protocol.slice(0, -1) },
      host: { get: () => host },
    });
  }

  async #findAccount(id: string) {
    const user = id.includes('\0') ? null : await this.users.find(id);
    if (!user || user.status === 'blocked') return undefined;
    return {
      accountId: user.id,
      claims: () => ({
        sub: user.id,
        ...(user.name === null ? {} : { name: user.name }),
        ...(user.email === null ? {} : { email: user.email, email_verified: true }),
      }),
    };
  }

  /**
   * The Grant of this request: the one a page has just made; or a new one when the same person approved the same before and began this navigation by
   * themselves (security.md 13). Never an old one: installations of one metadata document share a client id.
   */
  async #loadExistingGrant(ctx: KoaContextWithOIDC) {
    const { oidc } = ctx;
    const made = (oidc.result as { consent?: { grantId?: string } } | undefined)?.consent?.grantId;
    if (made !== undefined) return this.#provider.Grant.find(made);
    const { session, client, params } = oidc;
    if (!session?.accountId || !client || oidc.prompts.has('consent') || oidc.prompts.has('login')) return undefined;
    if (!['none', 'same-origin'].includes(ctx.get('sec-fetch-site'))) return undefined;
    const row = await this.clients.find(client.clientId);
    if (row?.status !== 'active') return undefined;
    const resource = String(params?.['resource']);
    const scopes = [...oidc.requestParamScopes];
    const subject = {
      userId: session.accountId,
      clientId: row.id,
      redirectUri: String(params?.['redirect_uri']),
      resource,
      clientHash: hashOfClient(row),
      scopes,
    };
    if (!(await this.consents.covering(subject))) return undefined;
    const identity = await this.signedInIdentity.of(session.accountId, session.uid);
    const id = await this.#createGrant({ ...subject, identity });
    return this.#provider.Grant.find(id);
  }

  /** Everything the engine fetches: metadata documents and clients' key sets. Its own dispatcher is ignored; the guard is in `outbound/`. */
  async #fetch(url: string): Promise<Response> {
    const isDocument = this.#wantedDocuments.has(url);
    const { body, maxAge } = await this.#documentOrKeys(url, isDocument ? 'document' : 'keys');
    const headers = { 'content-type': 'application/json', 'cache-control': `max-age=${maxAge}` };
    if (!isDocument) return new Response(body, { headers });
    const metadata = readClientMetadata(JSON.parse(body));
    return new Response(JSON.stringify({ ...metadata, client_id: url }), { headers });
  }

  /** @throws UpstreamUnavailable for keys that were never read, DocumentUnavailable for documents */
  async #documentOrKeys(url: string, kind: 'document' | 'keys'): Promise<FetchedDocument> {
    try {
      return await this.documents.get(url, kind);
    } catch (cause) {
      if (kind === 'document' || !(cause instanceof DocumentUnavailable)) throw cause;
      throw new UpstreamUnavailable('the keys of the client could not be read', KEYS_RETRY_AFTER, { cause });
    }
  }

  /** Addresses presented as client_id: what is fetched from them is a document, never a key set. */
  readonly #wantedDocuments = new Set<string>();

  async #allowDocumentFetch(id: string): Promise<boolean> {
    if (!isDocumentUrl(id) || new URL(id).origin === this.settings.publicUrl) return false;
    if (this.settings.values.registration === 'closed' && (await this.clients.find(id))?.status !== 'active')
      return false;
    if (this.#wantedDocuments.size > 10_000) this.#wantedDocuments.clear();
    this.#wantedDocuments.add(id);
    return true;
  }

  async #allowDocumentClient(id: string, metadata: unknown): Promise<boolean> {
    const read = readClientMetadata(metadata);
    if (isFault(read)) return false;
    const known = await this.clients.find(id);
    if (!known && this.settings.values.registration === 'closed') return false;
    return (await this.clients.recordDocument(id, read)).status !== 'blocked';
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

/** Parts of the engine's models that are ours: token values, redirect matching, secrets kept as hashes. */
function replaceModelParts(provider: Provider): void {
  const models = provider as unknown as Record<'AccessToken' | 'RefreshToken' | 'Client', { prototype: object }>;
  Object.assign(models.AccessToken.prototype, {
    generateTokenId(this: { format: string }): string {
      this.format = 'opaque';
      return mintToken('gth_at_');
    },
  });
  Object.assign(models.RefreshToken.prototype, { generateTokenId: () => mintToken('gth_rt_') });
  Object.assign(models.Client.prototype, {
    redirectUriAllowed(this: { redirectUris: string[]; gatehouse_trusted?: boolean }, uri: string): boolean {
      return redirectMatches(this.redirectUris, uri) && isUsable(uri, { trusted: this.gatehouse_trusted === true });
    },
    // Both are SHA-256 of 256 random bits: comparing them leaks nothing about the secret.
    compareClientSecret(this: { clientSecret: string }, secret: string): boolean {
      return this.clientSecret === sha256(secret);
    },
  });
}
