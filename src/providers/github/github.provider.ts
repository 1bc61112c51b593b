import { Strategy } from 'passport-github2';
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
import { refreshAt, tokensOf } from '../token-endpoint.js';
import { asObject, asText, askJson, type JsonAnswer, retryAfter } from '../upstream-json.js';
import { narrowerScopes } from './github-scopes.js';

const GITHUB = 'https://github.com';
const PAGE = 100;
/** Pages of organisations or teams that are read: a thousand entries. */
const PAGES = 10;

const settings = z.object({
  clientId: z.string().min(1).describe('Client ID of the OAuth app or GitHub App'),
  clientSecret: secret().describe('Client secret'),
  scopes: scopes()
    .default(['read:user', 'user:email'])
    .describe('Scopes asked for; `read:org` is added when a rule needs organisations or teams'),
  baseUrl: httpUrl()
    .refine(...protectedUrl)
    .default(GITHUB)
    .describe('Origin of the web pages; GitHub Enterprise Server: `https://HOST`'),
  apiUrl: httpUrl()
    .refine(...protectedUrl)
    .optional()
    .describe(
      'Base of the API. Default: `https://api.github.com`; for another base URL `https://HOST/api/v3` or `https://api.SUB.ghe.com`',
    ),
});

type Settings = z.output<typeof settings>;

/** Both bases without a trailing slash: paths are appended as text, since `new URL('/user', base)` would drop `/api/v3`. */
function basesOf({ baseUrl, apiUrl }: Settings): { web: string; api: string } {
  const web = baseUrl.replace(/\/+$/, '');
  return { web, api: (apiUrl ?? apiOf(web)).replace(/\/+$/, '') };
}

function apiOf(web: string): string {
  const { host, protocol } = new URL(web);
  if (web === GITHUB) return 'https://api.github.com';
  return host.endsWith('.ghe.com') ? `${protocol}//api.${host}` : `${web}/api/v3`;
}

class GitHub implements LoginProvider, RefreshesUpstreamTokens, RevokesUpstreamTokens, Identifies, WidensScopes {
  readonly label = 'GitHub';
  readonly #login: PassportLogin;
  readonly #scopes: readonly string[];
  readonly #web: string;
  readonly #api: string;

  constructor(
    readonly id: string,
    private readonly settings: Settings,
    private readonly house: ProviderHouse,
  ) {
    const { web, api } = basesOf(settings);
    this.#web = web;
    this.#api = api;
    // Without `scope` the package leaves e-mails to us: its own reading fails the whole login when they are not readable.
    const strategy = new Strategy(
      {
        ...strategyBasics,
        clientID: settings.clientId,
        clientSecret: settings.clientSecret,
        callbackURL: '',
        authorizationURL: `${web}/login/oauth/authorize`,
        tokenURL: `${web}/login/oauth/access_token`,
        userProfileURL: `${api}/user`,
        customHeaders: { 'User-Agent': 'gatehouse' },
      },
      keepLogin,
    );
    this.#login = new PassportLogin(id, strategy, house);
    const needsOrganizations = house.ruleKinds.has('github-org') || house.ruleKinds.has('github-team');
    this.#scopes = needsOrganizations ? [...new Set([...settings.scopes, 'read:org'])] : settings.scopes;
  }

  async start(ask: LoginAsk): Promise<{ url: URL; memo: Record<string, string> }> {
    const scope = [...new Set([...this.#scopes, ...ask.scopes])];
    const { url, memo } = await this.#login.start(ask, { scope });
    if (ask.chooseAccount) url.searchParams.set('prompt', 'select_account');
    return { url, memo: { ...memo, scope: scope.join(' ') } };
  }

  async finish(
    callback: URL,
    memo: Record<string, string>,
    callbackUrl: URL,
  ): Promise<{ identity: Identity; tokens: UpstreamTokens }> {
    const login = await this.#login.finish(callback, memo, callbackUrl);
    const { accessToken, refreshToken, params } = login;
    const answer = { ...params, access_token: accessToken, refresh_token: refreshToken };
    // What a GitHub App may do is set at GitHub; the tokens of its people (`ghu_`) always name an empty scope.
    const tokens = tokensOf(accessToken.startsWith('ghu_') ? { ...answer, scope: undefined } : answer, memo['scope']);
    return { identity: await this.#identity(login.profile, login.accessToken), tokens };
  }

  refresh(refreshToken: string): Promise<UpstreamTokens> {
    const { clientId, clientSecret } = this.settings;
    const url = new URL(`${this.#web}/login/oauth/access_token`);
    return refreshAt({ id: this.id, url, clientId, clientSecret, refreshToken }, this.house);
  }

  async revoke(tokens: UpstreamTokens): Promise<void> {
    const { clientId, clientSecret } = this.settings;
    const url = new URL(`${this.#api}/applications/${encodeURIComponent(clientId)}/token`);
    const request = {
      method: 'DELETE' as const,
      headers: {
        authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ access_token: tokens.accessToken }),
    };
    await askJson(this.house.outbound, url, request).catch((error: unknown) =>
      this.house.log.warn(`${this.id}: a token could not be revoked: ${String(error)}`),
    );
  }

  async identify(tokens: UpstreamTokens): Promise<Identity> {
    const { status, body } = await this.#get('/user', tokens.accessToken);
    if (status === 401) throw new UpstreamGrantDead(`${this.id} no longer takes this token`);
    const profile = asObject(body);
    if (status !== 200 || !profile) throw new UpstreamUnavailable(`${this.id} answered /user with ${status}`);
    return this.#identity(profile, tokens.accessToken);
  }

  alsoGrants(scope: string): readonly string[] {
    return narrowerScopes(scope);
  }

  async probe(): Promise<void> {
    await askJson(this.house.outbound, new URL(`${this.#api}/meta`), { timeoutMs: 3000 });
  }

  async #identity(profile: Readonly<Record<string, unknown>>, accessToken: string): Promise<Identity> {
    const subject = profile['id'];
    // Anything else would be one shared account for everybody (`String(undefined)`) or a rounded, thus foreign, number.
    if (typeof subject !== 'number' || !Number.isSafeInteger(subject) || subject <= 0)
      throw new UpstreamUnavailable(`${this.id} answered /user without a usable id`);
    const asks = this.house.ruleKinds;
    const [email, organizations, teams] = await Promise.all([
      this.#email(accessToken),
      asks.has('github-org') ? this.#all('/user/orgs', accessToken, organizationOf) : undefined,
      asks.has('github-team') ? this.#all('/user/teams', accessToken, teamOf) : undefined,
    ]);
    return {
      provider: this.id,
      subject: String(subject),
      email,
      name: asText(profile['name']),
      username: asText(profile['login']),
      avatarUrl: asText(profile['avatar_url']),
      organizations,
      teams,
      claims: profile,
    };
  }

  /** The primary address if GitHub verified it; undefined also where the person did not grant `user:email`. */
  async #email(accessToken: string): Promise<string | undefined> {
    const { status, body } = await this.#get('/user/emails', accessToken);
    if (status === 403 || status === 404) return undefined;
    if (status !== 200 || !Array.isArray(body))
      throw new UpstreamUnavailable(`${this.id} answered /user/emails with ${status} and no list`);
    const primary = body
      .map(asObject)
      .find((entry) => entry !== null && entry['primary'] === true && entry['verified'] === true);
    return asText(primary?.['email']);
  }

  /** Every page of a list; undefined when it is not readable, so that no rule about it admits. */
  async #all(
    path: string,
    accessToken: string,
    read: (entry: unknown) => string | undefined,
  ): Promise<readonly string[] | undefined> {
    const found: string[] = [];
    for (let page = 1; page <= PAGES; page++) {
      const { status, body } = await this.#get(`${path}?per_page=${PAGE}&page=${page}`, accessToken);
      if (status === 401 || status === 403 || status === 404) {
        this.house.log.warn(`${this.id}: ${path} is not readable (${status}): the scope read:org was not granted`);
        return undefined;
      }
      if (status !== 200 || !Array.isArray(body))
        throw new UpstreamUnavailable(`${this.id} answered ${path} with ${status} and no list`);
      found.push(...body.map(read).filter((name) => name !== undefined));
      if (body.length < PAGE) break;
    }
    return found;
  }

  /** @throws UpstreamUnavailable also for a 403 that is a rate limit: taken for a missing scope it would cost a person their e-mail and access */
  async #get(path: string, accessToken: string): Promise<JsonAnswer> {
    const answer = await askJson(this.house.outbound, new URL(this.#api + path), {
      headers: { authorization: `Bearer ${accessToken}`, 'x-github-api-version': '2022-11-28' },
    });
    const limited = answer.headers.get('x-ratelimit-remaining') === '0' || answer.headers.has('retry-after');
    if (answer.status === 403 && limited)
      throw new UpstreamUnavailable(`${this.id}: rate limit reached`, retryAfter(answer.headers));
    return answer;
  }
}

function organizationOf(entry: unknown): string | undefined {
  return asText(asObject(entry)?.['login'])?.toLowerCase();
}

function teamOf(entry: unknown): string | undefined {
  const team = asObject(entry);
  const organization = organizationOf(team?.['organization']);
  const slug = asText(team?.['slug'])?.toLowerCase();
  return organization && slug ? `${organization}/${slug}` : undefined;
}

/** Sign in with GitHub: github.com, GitHub Enterprise Server or ghe.com, by an OAuth app or a GitHub App. */
export const github = defineProvider({
  kind: 'github',
  sort: 'login',
  settings,
  create: (id, settings, house) => new GitHub(id, settings, house),
});
