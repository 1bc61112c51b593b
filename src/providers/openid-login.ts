import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import { type Outbound, OutboundFailed } from '../outbound/outbound.js';
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
  UpstreamGrantDead,
  type UpstreamTokens,
  UpstreamUnavailable,
} from './contract.js';
import { isLoopback } from './loopback.js';
import { readCallback, reportOurFault, safeCode } from './upstream-errors.js';
import { endsGrant } from './token-endpoint.js';
import { asText } from './upstream-json.js';

/** Seconds for which discovered metadata is used before it is asked for again. */
const METADATA_TTL = 3600;
/** Seconds by which an id_token may have ended. */
const LEEWAY = 30;

/** What an OpenID Connect login needs to know. */
export interface OpenIdSettings {
  readonly issuer: string;
  readonly clientId: string;
  /** undefined: a public client, held by PKCE alone. */
  readonly clientSecret?: string | undefined;
  readonly scopes: readonly string[];
  readonly label: string;
}

/** Sign in at any OpenID Connect provider: discovery, code flow with S256 and nonce, a verified id_token, userinfo of the same subject. */
export class OpenIdLogin
  implements LoginProvider, RefreshesUpstreamTokens, RevokesUpstreamTokens, Identifies, EndsUpstreamSessions, Probes
{
  readonly label: string;
  #configuration: oidc.Configuration | undefined;
  #discoveredAt = 0;
  #discovering: Promise<oidc.Configuration> | undefined;

  constructor(
    readonly id: string,
    private readonly settings: OpenIdSettings,
    private readonly house: ProviderHouse,
  ) {
    this.label = settings.label;
  }

  async start(ask: LoginAsk): Promise<{ url: URL; memo: Record<string, string> }> {
    const config = await this.#configure();
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
    const config = await this.#configure();
    const ours = new URL(callbackUrl.href);
    ours.search = callback.search;
    return this.#asking(async () => {
      const answer = await oidc.authorizationCodeGrant(config, ours, {
        pkceCodeVerifier: memo['verifier'] ?? '',
        expectedNonce: memo['nonce'] ?? '',
        expectedState: state,
        idTokenExpected: true,
      });
      const claims = { ...answer.claims() };
      const profile = await this.#userinfo(config, answer.access_token, String(claims['sub']));
      return {
        identity: this.#identity({ ...claims, ...profile }),
        tokens: tokensOf(answer, memo['scope']),
      };
    });
  }

  async refresh(refreshToken: string): Promise<UpstreamTokens> {
    const config = await this.#configure();
    return this.#asking(async () => {
      const tokens = tokensOf(await oidc.refreshTokenGrant(config, refreshToken));
      return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
    }, 'refresh');
  }

  async revoke(tokens: UpstreamTokens): Promise<void> {
    try {
      const config = await this.#configure();
      if (!config.serverMetadata().revocation_endpoint) return;
      await oidc.tokenRevocation(config, tokens.refreshToken ?? tokens.accessToken, {
        token_type_hint: tokens.refreshToken ? 'refresh_token' : 'access_token',
      });
    } catch (error) {
      this.house.log.warn(`${this.id}: a token could not be revoked: ${describe(error)}`);
    }
  }

  async identify(tokens: UpstreamTokens): Promise<Identity> {
    const config = await this.#configure();
    // Claims such as groups may stand in the id_token only; it is the one we verified when we sealed it away.
    const known = tokens.idToken === undefined ? {} : decodeJwt(tokens.idToken);
    return this.#asking(async () => {
      const profile = await this.#userinfo(config, tokens.accessToken, asText(known.sub));
      if (!profile) throw new UpstreamUnavailable(`${this.id} has no userinfo endpoint`);
      return this.#identity({ ...known, ...profile });
    }, 'identify');
  }

  async endSessionUrl({ idToken, returnTo, state }: SignOutAsk): Promise<URL | null> {
    const config = await this.#configure();
    if (!config.serverMetadata().end_session_endpoint) return null;
    // Adds `client_id`: without the hint the provider could not tell whose `post_logout_redirect_uri` it is (RP-Initiated Logout §2).
    return oidc.buildEndSessionUrl(config, {
      post_logout_redirect_uri: returnTo.href,
      state,
      ...(idToken === undefined ? {} : { id_token_hint: idToken }),
    });
  }

  async probe(): Promise<void> {
    await this.#discover();
  }

  /** The discovered configuration; a stale one serves while the upstream's metadata cannot be had. */
  async #configure(): Promise<oidc.Configuration> {
    const known = this.#configuration;
    if (known && performance.now() / 1000 - this.#discoveredAt < METADATA_TTL) return known;
    try {
      return await this.#discover();
    } catch (error) {
      if (known) return known;
      throw error;
    }
  }

  #discover(): Promise<oidc.Configuration> {
    this.#discovering ??= this.#ask().finally(() => {
      this.#discovering = undefined;
    });
    return this.#discovering;
  }

  async #ask(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.settings;
    const options: oidc.DiscoveryRequestOptions = {
      [oidc.customFetch]: fetchThrough(this.house.outbound),
      timeout: 8,
      execute: [oidc.enableNonRepudiationChecks, ...(isLoopback(issuer) ? [oidc.allowInsecureRequests] : [])],
    };
    const metadata = {
      ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
      [oidc.clockTolerance]: LEEWAY,
    };
    const config = await this.#asking(() =>
      oidc.discovery(new URL(issuer), clientId, metadata, authentication(clientSecret), options),
    );
    this.#configuration = config;
    this.#discoveredAt = performance.now() / 1000;
    return config;
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

  #identity(claims: Readonly<Record<string, unknown>>): Identity {
    const subject = asText(claims['sub']);
    if (!subject) throw new UpstreamUnavailable(`${this.id} named no subject`);
    return {
      provider: this.id,
      subject,
      // Absent means unverified: Entra never sends it, and its e-mail can be set by any tenant's administrator.
      email: claims['email_verified'] === true ? asText(claims['email']) : undefined,
      name: asText(claims['name']),
      username: asText(claims['preferred_username']),
      avatarUrl: asText(claims['picture']),
      claims,
    };
  }

  /** Runs requests and turns what openid-client throws into the contract's errors. */
  async #asking<Answer>(ask: () => Promise<Answer>, what?: 'refresh' | 'identify'): Promise<Answer> {
    try {
      return await ask();
    } catch (cause) {
      if (cause instanceof UpstreamUnavailable) throw cause;
      const message = `${this.id}: ${describe(cause)}`;
      if (cause instanceof oidc.ResponseBodyError) {
        if (what === 'refresh' && endsGrant(cause.error)) throw new UpstreamGrantDead(message, { cause });
        reportOurFault(this.id, cause.error, this.house.log);
      }
      // Some answer junk with an empty 401, without the challenge that RFC 6750 §3 wants.
      if (what === 'identify' && statusOf(cause) === 401) throw new UpstreamGrantDead(message, { cause });
      if (what === 'refresh' && statusOf(cause) === 400 && !(cause instanceof oidc.ResponseBodyError))
        throw new UpstreamGrantDead(message, { cause });
      throw new UpstreamUnavailable(message, 5, { cause });
    }
  }
}

/** `client_secret_post` where it is offered: some servers do not decode the percent-encoding that RFC 6749 §2.3.1 asks of Basic. */
function authentication(clientSecret: string | undefined): oidc.ClientAuth {
  if (clientSecret === undefined) return oidc.None();
  const [post, basic] = [oidc.ClientSecretPost(clientSecret), oidc.ClientSecretBasic(clientSecret)];
  return (server, client, body, headers) => {
    const offered = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const method = offered.includes('client_secret_basic') && !offered.includes('client_secret_post') ? basic : post;
    return method(server, client, body, headers);
  };
}

/** The `fetch` of a library, led through `outbound/`. */
export function fetchThrough(outbound: Outbound): oidc.CustomFetch {
  return async (url, { method, headers, body }) => {
    const answer = await outbound.send(new URL(url), {
      method: method === 'POST' ? 'POST' : 'GET',
      headers,
      ...(typeof body === 'string' || body instanceof URLSearchParams ? { body: body.toString() } : {}),
    });
    const bodiless = [101, 204, 205, 304].includes(answer.status);
    return new Response(bodiless ? null : answer.text, { status: answer.status, headers: answer.headers });
  };
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

function statusOf(error: unknown): number | undefined {
  if (error instanceof oidc.WWWAuthenticateChallengeError) return error.status;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Response ? cause.status : undefined;
}

/** What went wrong, without anything an upstream or a browser wrote. */
function describe(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof OutboundFailed) return cause.message;
  if (error instanceof oidc.ResponseBodyError) return `the token endpoint answered ${safeCode(error.error)}`;
  const status = statusOf(error);
  const code = error instanceof Error && 'code' in error ? ` (${safeCode(error.code)})` : '';
  return `${error instanceof Error ? error.message.slice(0, 200) : 'failed'}${code}${status === undefined ? '' : `, status ${status}`}`;
}

function promptOf(wanted: { consent: boolean; login: boolean }): { prompt?: string } {
  const prompts = [wanted.login && 'login', wanted.consent && 'consent'].filter(Boolean);
  return prompts.length > 0 ? { prompt: prompts.join(' ') } : {};
}
