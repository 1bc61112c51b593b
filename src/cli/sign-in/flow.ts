import { randomBytes } from 'node:crypto';
import type {
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from '@modelcontextprotocol/client';

/** One sign-in on its way, in memory: what the SDK's `auth` asks for and hands over. Nothing of an earlier one is offered but the registration. */
export class Flow implements OAuthClientProvider {
  readonly expectedState = randomBytes(32).toString('base64url');
  /** Where the person has to go; null: not known yet. */
  authorizationUrl: URL | null = null;
  issued: StoredOAuthTokens | null = null;
  #verifier = '';
  #discovered: OAuthDiscoveryState | undefined;

  /** @param client the registration for this redirect URI; undefined: register */
  constructor(
    readonly redirectUrl: string,
    public client: StoredOAuthClientInformation | undefined,
    private readonly registered: (client: StoredOAuthClientInformation) => void,
  ) {}

  get clientMetadata(): OAuthClientMetadata {
    return {
      client_name: 'Gatehouse command line',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state(): string {
    return this.expectedState;
  }

  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.client;
  }

  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.client = client;
    this.registered(client);
  }

  tokens(): undefined {
    return undefined;
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.issued = tokens;
  }

  redirectToAuthorization(url: URL): void {
    this.authorizationUrl = url;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovered = state;
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovered;
  }
}
