import { Strategy } from 'passport-google-oauth20';
import { z } from 'zod';
import { httpUrl, scopes, secret } from '../../config/values.js';
import {
  defineProvider,
  type Identifies,
  type Identity,
  type LoginAsk,
  type LoginProvider,
  type ProviderHouse,
  type RefreshesUpstreamTokens,
  type RevokesUpstreamTokens,
  UpstreamGrantDead,
  type UpstreamTokens,
  UpstreamUnavailable,
} from '../contract.js';
import type { WidensScopes } from '../granted-scopes.js';
import { protectedUrl } from '../loopback.js';
import { keepLogin, PassportLogin, strategyBasics } from '../passport-login.js';
import { formPost, refreshAt, tokensOf } from '../token-endpoint.js';
import { asObject, asText, askJson } from '../upstream-json.js';

const settings = z.object({
  clientId: z.string().min(1).describe('Client ID of the OAuth client (type Web application)'),
  clientSecret: secret().describe('Client secret'),
  scopes: scopes().default(['openid', 'email', 'profile']).describe('Scopes asked for'),
  authorizationUrl: httpUrl()
    .refine(...protectedUrl)
    .default('https://accounts.google.com/o/oauth2/v2/auth')
    .describe('Authorization endpoint'),
  tokenUrl: httpUrl()
    .refine(...protectedUrl)
    .default('https://oauth2.googleapis.com/token')
    .describe('Token endpoint'),
  // The package reads any other path as an answer of the Google+ API that was shut down in 2019.
  userinfoUrl: httpUrl()
    .refine(...protectedUrl)
    .refine((value) => !URL.canParse(value) || new URL(value).pathname.endsWith('/userinfo'), {
      error: 'wants a URL whose path ends in /userinfo',
    })
    .default('https://openidconnect.googleapis.com/v1/userinfo')
    .describe('Userinfo endpoint; its path ends in `/userinfo`'),
});

type Settings = z.output<typeof settings>;

class Google implements LoginProvider, RefreshesUpstreamTokens, RevokesUpstreamTokens, Identifies, WidensScopes {
  readonly label = 'Google';
  readonly #login: PassportLogin;

  constructor(
    readonly id: string,
    private readonly settings: Settings,
    private readonly house: ProviderHouse,
  ) {
    const strategy = new Strategy(
      {
        ...strategyBasics,
        clientID: settings.clientId,
        clientSecret: settings.clientSecret,
        callbackURL: '',
        authorizationURL: settings.authorizationUrl,
        tokenURL: settings.tokenUrl,
        userProfileURL: settings.userinfoUrl,
      },
      keepLogin as never,
    );
    this.#login = new PassportLogin(id, strategy, house);
  }

  async start(ask: LoginAsk): Promise<{ url: URL; memo: Record<string, string> }> {
    const scope = [...new Set([...this.settings.scopes, ...ask.scopes])];
    // Google gives a refresh token only with both, and with the second only when the person agrees anew.
    const { url, memo } = await this.#login.start(ask, {
      scope,
      accessType: 'offline',
      prompt: ask.chooseAccount ? 'consent select_account' : 'consent',
    });
    return { url, memo: { ...memo, scope: scope.join(' ') } };
  }

  async finish(
    callback: URL,
    memo: Record<string, string>,
    callbackUrl: URL,
  ): Promise<{ identity: Identity; tokens: UpstreamTokens }> {
    const login = await this.#login.finish(callback, memo, callbackUrl);
    const { accessToken, refreshToken, params } = login;
    const tokens = tokensOf({ ...params, access_token: accessToken, refresh_token: refreshToken }, memo['scope']);
    return { identity: this.#identity(login.profile), tokens };
  }

  refresh(refreshToken: string): Promise<UpstreamTokens> {
    const { clientId, clientSecret, tokenUrl } = this.settings;
    return refreshAt({ id: this.id, url: new URL(tokenUrl), clientId, clientSecret, refreshToken }, this.house);
  }

  async revoke(tokens: UpstreamTokens): Promise<void> {
    const url = new URL(this.settings.tokenUrl.replace(/\/token$/, '/revoke'));
    // Revoking either token ends Google's whole grant for this person.
    await askJson(this.house.outbound, url, formPost({ token: tokens.refreshToken ?? tokens.accessToken })).catch(
      (error: unknown) => this.house.log.warn(`${this.id}: a token could not be revoked: ${String(error)}`),
    );
  }

  async identify(tokens: UpstreamTokens): Promise<Identity> {
    const { status, body } = await askJson(this.house.outbound, new URL(this.settings.userinfoUrl), {
      headers: { authorization: `Bearer ${tokens.accessToken}` },
    });
    if (status === 401) throw new UpstreamGrantDead(`${this.id} no longer takes this token`);
    const profile = asObject(body);
    if (status !== 200 || !profile) throw new UpstreamUnavailable(`${this.id} answered userinfo with ${status}`);
    return this.#identity(profile);
  }

  /** Google answers two scopes of OpenID Connect by their old addresses. */
  alsoGrants(scope: string): readonly string[] {
    const short = /^https:\/\/www\.googleapis\.com\/auth\/userinfo\.(email|profile)$/.exec(scope)?.[1];
    return short === undefined ? [] : [short];
  }

  async probe(): Promise<void> {
    await askJson(this.house.outbound, new URL(this.settings.userinfoUrl), { timeoutMs: 3000 });
  }

  /** `hd` stays among the claims, where the rule `google-domain` reads it: the parameter of that name is only a hint to Google. */
  #identity(profile: Readonly<Record<string, unknown>>): Identity {
    const subject = asText(profile['sub']);
    if (!subject) throw new UpstreamUnavailable(`${this.id} answered userinfo without sub`);
    return {
      provider: this.id,
      subject,
      email: profile['email_verified'] === true ? asText(profile['email']) : undefined,
      name: asText(profile['name']),
      avatarUrl: asText(profile['picture']),
      claims: profile,
    };
  }
}

/** Sign in with Google. */
export const google = defineProvider({
  kind: 'google',
  sort: 'login',
  settings,
  create: (id, settings, house) => new Google(id, settings, house),
});
