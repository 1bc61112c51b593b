import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import {
  type EndsUpstreamSessions,
  type Identifies,
  type Identity,
  type LoginAsk,
  type LoginProvider,
  type Probes,
  type ProviderHouse,
  type RefreshesUpstreamTokens,
  type RevokesUpstreamTokens,
  type SignOutAsk,
  type UpstreamTokens,
} from './contract.js';
import type { WidensScopes } from './granted-scopes.js';
import { identityAgain, identityOf } from './openid-claims.js';
import { OpenIdDiscovery, type OpenIdRegistration } from './openid-discovery.js';
import { asking, describeError } from './openid-errors.js';
import { readCallback } from './upstream-errors.js';
import { asText } from './upstream-json.js';

/** Before the names of permissions of Microsoft Graph. */
const GRAPH = 'https://graph.microsoft.com/';

/** What an OpenID Connect login needs to know. */
interface OpenIdSettings extends OpenIdRegistration {
  readonly scopes: readonly string[];
  readonly label: string;
}

/** Sign in at any OpenID Connect provider: discovery, code flow with S256 and nonce, a verified id_token, userinfo of the same subject. */
export class OpenIdLogin
  implements
    LoginProvider,
    RefreshesUpstreamTokens,
    RevokesUpstreamTokens,
    Identifies,
    EndsUpstreamSessions,
    WidensScopes,
    Probes
{
  readonly label: string;
  readonly #discovery: OpenIdDiscovery;

  constructor(
    readonly id: string,
    private readonly settings: OpenIdSettings,
    private readonly house: ProviderHouse,
  ) {
    this.label = settings.label;
    this.#discovery = new OpenIdDiscovery(id, settings, house);
  }

  async start(ask: LoginAsk): Promise<{ url: URL; memo: Record<string, string> }> {
    const config = await this.#discovery.current();
    const scope = [...new Set([...this.settings.scopes, ...ask.scopes])].join(' ');
    const memo = { verifier: oidc.randomPKCECodeVerifier(), nonce: oidc.randomNonce(), scope };
    // No `resource`: Entra refuses the whole request over it (AADSTS9010010), and the token is for the upstream, not for us.
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: ask.callbackUrl.href,
      scope,
      state: ask.state,
      nonce: memo.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(memo.verifier),
      code_challenge_method: 'S256',
      // Providers drop `offline_access` silently unless the person is asked (OpenID Connect Core §11).
      // `login` is the one prompt every provider must honour (§3.1.2.1); with it the person can name another account.
      ...promptOf({ consent: scope.split(' ').includes('offline_access'), login: ask.chooseAccount === true }),
    });
    return { url, memo };
  }

  async finish(
    callback: URL,
    memo: Record<string, string>,
    callbackUrl: URL,
  ): Promise<{ identity: Identity; tokens: UpstreamTokens }> {
    const { state } = readCallback(this.id, callback);
    const config = await this.#discovery.current();
    const ours = new URL(callbackUrl.href);
    ours.search = callback.search;
    return asking({ id: this.id, log: this.house.log }, async () => {
      const answer = await oidc.authorizationCodeGrant(config, ours, {
        pkceCodeVerifier: memo['verifier'] ?? '',
        expectedNonce: memo['nonce'] ?? '',
        expectedState: state,
        idTokenExpected: true,
      });
      const claims = { ...answer.claims() };
      const profile = await this.#userinfo(config, answer.access_token, String(claims['sub']));
      return {
        identity: identityOf(this.id, { idToken: claims, userinfo: profile }),
        tokens: { ...tokensOf(answer, memo['scope']), userinfoClaims: Object.keys(profile ?? {}) },
      };
    });
  }

  async refresh(refreshToken: string): Promise<UpstreamTokens> {
    const config = await this.#discovery.current();
    return asking(
      { id: this.id, log: this.house.log },
      async () => {
        const tokens = tokensOf(await oidc.refreshTokenGrant(config, refreshToken));
        return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
      },
      'refresh',
    );
  }

  async revoke(tokens: UpstreamTokens): Promise<void> {
    try {
      const config = await this.#discovery.current();
      if (!config.serverMetadata().revocation_endpoint) return;
      await oidc.tokenRevocation(config, tokens.refreshToken ?? tokens.accessToken, {
        token_type_hint: tokens.refreshToken ? 'refresh_token' : 'access_token',
      });
    } catch (error) {
      this.house.log.warn(`${this.id}: a token could not be revoked: ${describeError(error)}`);
    }
  }

  async identify(tokens: UpstreamTokens): Promise<Identity> {
    const config = await this.#discovery.current();
    // Claims such as groups may stand in the id_token only; it is the one we verified when we sealed it away.
    const idToken = tokens.idToken === undefined ? undefined : decodeJwt(tokens.idToken);
    return asking(
      { id: this.id, log: this.house.log },
      async () => {
        const userinfo = await this.#userinfo(config, tokens.accessToken, asText(idToken?.sub));
        return identityAgain(this.id, { idToken, userinfo, tokens });
      },
      'identify',
    );
  }

  async endSessionUrl({ idToken, returnTo, state }: SignOutAsk): Promise<URL | null> {
    const config = await this.#discovery.current();
    if (!config.serverMetadata().end_session_endpoint) return null;
    // Adds `client_id`: without the hint the provider could not tell whose `post_logout_redirect_uri` it is (RP-Initiated Logout §2).
    return oidc.buildEndSessionUrl(config, {
      post_logout_redirect_uri: returnTo.href,
      state,
      ...(idToken === undefined ? {} : { id_token_hint: idToken }),
    });
  }

  /** Entra ID names permissions of Microsoft Graph, its default resource, with that resource's address although asked without it. */
  alsoGrants(scope: string): readonly string[] {
    return scope.startsWith(GRAPH) ? [scope.slice(GRAPH.length)] : [];
  }

  async probe(): Promise<void> {
    await this.#discovery.ask();
  }

  /** Undefined where the provider has no userinfo endpoint. `subject` undefined: any. */
  async #userinfo(
    config: oidc.Configuration,
    accessToken: string,
    subject: string | undefined,
  ): Promise<oidc.UserInfoResponse | undefined> {
    if (!config.serverMetadata().userinfo_endpoint) return undefined;
    return oidc.fetchUserInfo(config, accessToken, subject ?? oidc.skipSubjectCheck);
  }
}

function tokensOf(answer: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers, asked = ''): UpstreamTokens {
  const left = answer.expiresIn();
  return {
    accessToken: answer.access_token,
    refreshToken: asText(answer.refresh_token),
    idToken: asText(answer.id_token),
    expiresAt: left === undefined ? undefined : Math.floor(Date.now() / 1000 + left),
    // RFC 6749 §5.1: an absent scope means: as asked.
    scopes: (answer.scope ?? asked).split(' ').filter((scope) => scope !== ''),
  };
}

function promptOf(wanted: { consent: boolean; login: boolean }): { prompt?: string } {
  const prompts = [wanted.login && 'login', wanted.consent && 'consent'].filter(Boolean);
  return prompts.length > 0 ? { prompt: prompts.join(' ') } : {};
}
