import {
  auth,
  type AuthProvider,
  computeScopeUnion,
  discoverOAuthServerInfo,
  extractWWWAuthenticateParams,
  type FetchLike,
  InsufficientScopeError,
  OAuthError,
  OAuthErrorCode,
  refreshAuthorization,
  selectResourceURL,
  UnauthorizedError,
  validateAuthorizationResponseIssuer,
} from '@modelcontextprotocol/client';
import { CommandFailed, inOneLine } from '../failure.js';
import { Callback } from './callback.js';
import { Flow } from './flow.js';
import type { KeptSignIn, SignInFacts } from './kept-sign-in.js';

/** How long a person may take in the browser, seconds. */
const PATIENCE = 300;

const GRANT_IS_OVER: string = OAuthErrorCode.InvalidGrant;
/** A client the authorization server does not know any more, or a grant that is over: asking again with them is of no use. */
const DEAD: readonly string[] = [GRANT_IS_OVER, OAuthErrorCode.InvalidClient, OAuthErrorCode.UnauthorizedClient];

/** What a sign-in needs. */
export interface BrowserSignInOptions {
  readonly url: URL;
  readonly kept: KeptSignIn;
  /** A client registered by hand; undefined: register. */
  readonly clientId: string | undefined;
  /** Sends the person to the address, which is also told to those who have no browser here. */
  readonly show: (url: URL, patience: number) => Promise<void>;
  readonly fetch: FetchLike;
}

/** The bearer token of the person at one MCP server: kept, refreshed, and obtained in the browser when the server asks for it. */
export class BrowserSignIn implements AuthProvider {
  /** The access token that the newest request carried. */
  #offered: string | undefined;
  /** What the newest refusal asks for. */
  #challenge: { readonly scope: string | undefined; readonly metadata: URL | undefined } = {
    scope: undefined,
    metadata: undefined,
  };

  constructor(private readonly options: BrowserSignInOptions) {}

  async token(): Promise<string | undefined> {
    this.#offered = this.#known()?.tokens?.access_token;
    return this.#offered;
  }

  /** After a 401: refreshes. @throws UnauthorizedError when the person is needed */
  async onUnauthorized({ response }: { response: Response }): Promise<void> {
    const { scope, resourceMetadataUrl } = extractWWWAuthenticateParams(response);
    this.#challenge = { scope, metadata: resourceMetadataUrl };
    const known = this.#known();
    if (!known?.tokens) throw new UnauthorizedError();
    if (!(await this.options.kept.alone(() => this.#refreshed()))) throw new UnauthorizedError();
  }

  /** Can a sign-in in the browser mend this? Remembers the scopes to ask for. */
  mends(error: unknown): boolean {
    if (error instanceof UnauthorizedError) return true;
    if (!(error instanceof InsufficientScopeError)) return false;
    const scope = computeScopeUnion(this.#known()?.tokens?.scope, error.requiredScope);
    this.#challenge = { scope, metadata: error.resourceMetadataUrl };
    return true;
  }

  /**
   * Takes the person through the browser and keeps the tokens.
   * @throws CommandFailed when the person or the server says no  @throws IssuerMismatchError  @throws OAuthError  @throws Error of the network
   */
  async signIn(): Promise<void> {
    const { kept, show } = this.options;
    const before = this.#known();
    const callback = await Callback.listen(before?.redirectUri ?? null);
    try {
      const flow = this.#flow(callback.redirectUri, before);
      await auth(flow, { ...this.#request(), forceReauthorization: true });
      const { authorizationUrl } = flow;
      if (!authorizationUrl || !/^https?:$/.test(authorizationUrl.protocol))
        throw new CommandFailed(`${this.options.url.href}: the authorization server has no web page to sign in at`);
      await show(authorizationUrl, PATIENCE);
      const code = codeOf(await callback.wait(flow.expectedState, PATIENCE), flow);
      await auth(flow, { ...this.#request(), ...code });
      if (!flow.client || !flow.issued) throw new Error('the sign-in ended without a token');
      kept.write({ client: flow.client, redirectUri: callback.redirectUri, tokens: flow.issued });
    } finally {
      await callback.close();
    }
  }

  /** What is kept, unless it is of another client than the one asked for. */
  #known(): SignInFacts | null {
    const { kept, clientId } = this.options;
    const known = kept.read();
    return clientId === undefined || known?.client.client_id === clientId ? known : null;
  }

  #flow(redirectUri: string, before: SignInFacts | null): Flow {
    const { kept, clientId } = this.options;
    if (clientId !== undefined) return new Flow(redirectUri, { client_id: clientId }, () => undefined);
    // Not every server lets the port of a loopback address change (RFC 8252 §7.3): another port is registered anew.
    const client = before?.redirectUri === redirectUri ? before.client : undefined;
    return new Flow(redirectUri, client, (registered) => {
      // Kept at once: where clients wait for an administrator, the next attempt must be by the same client.
      if (!before?.tokens) kept.write({ client: registered, redirectUri });
    });
  }

  #request() {
    const { url: serverUrl, fetch: fetchFn } = this.options;
    const { scope, metadata } = this.#challenge;
    return {
      serverUrl,
      fetchFn,
      ...(scope === undefined ? {} : { scope }),
      ...(metadata === undefined ? {} : { resourceMetadataUrl: metadata }),
    };
  }

  /** false: the person is needed. */
  async #refreshed(): Promise<boolean> {
    const { kept, url, fetch: fetchFn } = this.options;
    const known = this.#known();
    if (!known?.tokens) return false;
    // Another command has refreshed, or signed in, since our request went out.
    if (known.tokens.access_token !== this.#offered) return true;
    if (known.tokens.refresh_token === undefined) return false;
    const { serverUrl: _, ...discovery } = this.#request();
    const server = await discoverOAuthServerInfo(url, discovery);
    const metadata = server.authorizationServerMetadata;
    const issuer = metadata?.issuer ?? server.authorizationServerUrl;
    // A refresh token goes to the server that issued it and to no other.
    if (known.tokens.issuer !== issuer) return false;
    await selectResourceURL(url, new Flow(known.redirectUri, known.client, () => undefined), server.resourceMetadata);
    try {
      const tokens = await refreshAuthorization(server.authorizationServerUrl, {
        ...(metadata ? { metadata } : {}),
        clientInformation: known.client,
        refreshToken: known.tokens.refresh_token,
        ...(server.resourceMetadata ? { resource: server.resourceMetadata.resource } : {}),
        fetchFn,
      });
      kept.write({ ...known, tokens: { scope: known.tokens.scope, ...tokens, issuer } });
      return true;
    } catch (error) {
      if (!(error instanceof OAuthError) || !DEAD.includes(error.code)) throw error;
      if (error.code === GRANT_IS_OVER) kept.write({ ...known, tokens: undefined });
      else kept.forget();
      return false;
    }
  }
}

/** @throws IssuerMismatchError before anything else of the answer is believed (RFC 9207 §2.4)  @throws CommandFailed for an error */
function codeOf(answer: URLSearchParams, flow: Flow): { authorizationCode: string; iss?: string } {
  const iss = answer.get('iss') ?? undefined;
  const metadata = flow.discoveryState()?.authorizationServerMetadata;
  validateAuthorizationResponseIssuer({
    iss,
    expectedIssuer: metadata?.issuer,
    issParameterSupported:
      metadata !== undefined &&
      'authorization_response_iss_parameter_supported' in metadata &&
      metadata.authorization_response_iss_parameter_supported === true,
  });
  const authorizationCode = answer.get('code');
  if (authorizationCode === null) {
    const why = [answer.get('error') ?? 'no code came back', answer.get('error_description')];
    throw new CommandFailed(`you were not signed in: ${inOneLine(why.filter((part) => part !== null).join(': '))}`);
  }
  return { authorizationCode, ...(iss === undefined ? {} : { iss }) };
}
