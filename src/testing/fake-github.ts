import { type FakeAnswer, type FakeRequest, FakeServer } from './fake-server.js';
import { provesChallenge, randomText } from './pkce.js';

/** A person at the fake GitHub. */
export interface FakeGitHubPerson {
  id: number;
  login: string;
  name: string | null;
  emails: { email: string; primary: boolean; verified: boolean; visibility: string | null }[];
  organizations: string[];
  /** `organisation/team`. */
  teams: string[];
}

interface Registration {
  readonly clientId: string;
  readonly clientSecret: string;
  /** GitHub allows a callback below a registered one; the fake wants it exactly. Undefined: any. */
  readonly redirectUris?: readonly string[];
}

interface Session {
  readonly scopes: string[];
  readonly person: FakeGitHubPerson;
}

/**
 * A GitHub that is stricter than GitHub: it checks client, secret, redirect URI and PKCE, takes a code once, and tells a known token from an unknown one.
 * Web pages and API share one origin: `BASE_URL` is its origin, `API_URL` the same.
 */
export class FakeGitHub extends FakeServer {
  /** Who signs in next. */
  person: FakeGitHubPerson = octocat();
  /** true: the authorize page waits for a button, as in a browser; false: it redirects at once. */
  asksPerson = false;
  /** The next sign-in is refused by the person. */
  denies = false;
  /** Grants only these of the scopes asked for; undefined: all. */
  grants: readonly string[] | undefined;
  /** Seconds; set it and tokens expire and come with a refresh token, as for a GitHub App. */
  expiresIn: number | undefined;
  /** How the token endpoint writes its answers: GitHub obeys `Accept`, older Enterprise versions do not. */
  tokenFormat: 'json' | 'form' = 'json';
  readonly #codes = new Map<string, Session & { readonly challenge: string; readonly redirectUri: string }>();
  readonly #tokens = new Map<string, Session>();
  readonly #refreshTokens = new Map<string, Session>();

  constructor(readonly registration: Registration = { clientId: 'gh-client', clientSecret: 'gh-secret' }) {
    super();
    this.on('GET /login/oauth/authorize', (request) => this.#authorize(request.url.searchParams));
    this.on('POST /login/oauth/authorize', (request) => this.#decide(request.form));
    this.on('POST /login/oauth/access_token', (request) => this.#token(request));
    this.on('GET /user', (request) => this.#asPerson(request, ({ person }) => profileOf(person)));
    this.on('GET /user/emails', (request) => this.#withScope(request, 'user:email', ({ person }) => person.emails));
    this.on('GET /user/orgs', (request) =>
      this.#withScope(request, 'read:org', ({ person }) =>
        page(
          request,
          person.organizations.map((login) => ({ login })),
        ),
      ),
    );
    this.on('GET /user/teams', (request) =>
      this.#withScope(request, 'read:org', ({ person }) => page(request, person.teams.map(teamOf))),
    );
    this.on('GET /meta', () => ({ body: { verifiable_password_authentication: false } }));
    this.on(`DELETE /applications/${registration.clientId}/token`, (request) => this.#revoke(request));
  }

  /** Forgets every access token and refresh token, as when the person revokes the app. */
  forgetTokens(): void {
    this.#tokens.clear();
    this.#refreshTokens.clear();
  }

  /** Is this access token still good? */
  knows(accessToken: string): boolean {
    return this.#tokens.has(accessToken);
  }

  #authorize(query: URLSearchParams): FakeAnswer {
    const redirectUri = query.get('redirect_uri') ?? '';
    if (query.get('client_id') !== this.registration.clientId) return { status: 404, body: '<h1>404</h1>' };
    if (this.registration.redirectUris && !this.registration.redirectUris.includes(redirectUri))
      return { status: 400, body: '<h1>The redirect_uri is not associated with this application.</h1>' };
    if (query.get('code_challenge_method') !== 'S256' || !query.get('code_challenge'))
      return { status: 400, body: '<h1>PKCE is required here.</h1>' };
    if (!this.asksPerson) return this.#redirect(query, !this.denies);
    const fields = [...query].map(
      ([name, value]) => `<input type="hidden" name="${quote(name)}" value="${quote(value)}">`,
    );
    return {
      body: `<!doctype html><title>Sign in to GitHub</title><form method="post" action="/login/oauth/authorize">${fields.join('')}
<button name="decision" value="allow">Authorize ${quote(this.person.login)}</button> <button name="decision" value="deny">Cancel</button></form>`,
    };
  }

  #decide(form: URLSearchParams): FakeAnswer {
    return this.#redirect(form, form.get('decision') === 'allow');
  }

  #redirect(query: URLSearchParams, allowed: boolean): FakeAnswer {
    const target = new URL(query.get('redirect_uri') ?? '');
    const state = query.get('state');
    if (state !== null) target.searchParams.set('state', state);
    if (allowed) {
      const asked = (query.get('scope') ?? '').split(/[\s,]+/).filter(Boolean);
      const code = randomText();
      this.#codes.set(code, {
        scopes: asked.filter((scope) => !this.grants || this.grants.includes(scope)),
        person: this.person,
        challenge: query.get('code_challenge') ?? '',
        redirectUri: query.get('redirect_uri') ?? '',
      });
      target.searchParams.set('code', code);
    } else {
      target.searchParams.set('error', 'access_denied');
      target.searchParams.set('error_description', 'The user has denied your application access.');
    }
    return { status: 302, headers: { location: target.href }, body: '' };
  }

  #token({ form }: FakeRequest): FakeAnswer {
    const { clientId, clientSecret } = this.registration;
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret)
      return this.#say({ error: 'incorrect_client_credentials' });
    if (form.get('grant_type') === 'refresh_token') {
      const session = this.#refreshTokens.get(form.get('refresh_token') ?? '');
      this.#refreshTokens.delete(form.get('refresh_token') ?? '');
      return session ? this.#issue(session) : this.#say({ error: 'bad_refresh_token' });
    }
    const code = this.#codes.get(form.get('code') ?? '');
    this.#codes.delete(form.get('code') ?? '');
    if (!code || !provesChallenge(form.get('code_verifier'), code.challenge))
      return this.#say({ error: 'bad_verification_code', error_description: 'The code is incorrect or expired.' });
    if (form.get('redirect_uri') !== code.redirectUri) return this.#say({ error: 'redirect_uri_mismatch' });
    return this.#issue(code);
  }

  #issue({ scopes, person }: Session): FakeAnswer {
    const accessToken = `gho_${randomText()}`;
    this.#tokens.set(accessToken, { scopes, person });
    const answer: Record<string, string> = { access_token: accessToken, scope: scopes.join(','), token_type: 'bearer' };
    if (this.expiresIn !== undefined) {
      const refreshToken = `ghr_${randomText()}`;
      this.#refreshTokens.set(refreshToken, { scopes, person });
      Object.assign(answer, { refresh_token: refreshToken, expires_in: String(this.expiresIn) });
    }
    return this.#say(answer);
  }

  /** GitHub answers its errors with status 200 too. */
  #say(answer: Record<string, string>): FakeAnswer {
    if (this.tokenFormat === 'json') return { body: answer };
    return {
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: new URLSearchParams(answer).toString(),
    };
  }

  #asPerson(request: FakeRequest, answer: (session: Session) => object): FakeAnswer {
    const session = this.#tokens.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '');
    return session ? { body: answer(session) } : { status: 401, body: { message: 'Bad credentials' } };
  }

  #withScope(request: FakeRequest, scope: string, answer: (session: Session) => object): FakeAnswer {
    let missing = false;
    const body = this.#asPerson(request, (session) => {
      missing = !session.scopes.includes(scope);
      return answer(session);
    });
    return missing ? { status: 404, body: { message: 'Not Found' } } : body;
  }

  #revoke(request: FakeRequest): FakeAnswer {
    const { clientId, clientSecret } = this.registration;
    const basic = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    if (request.headers.authorization !== basic) return { status: 401, body: { message: 'Bad credentials' } };
    const { access_token: token } = JSON.parse(request.body) as { access_token: string };
    return this.#tokens.delete(token) ? { status: 204, body: '' } : { status: 404, body: { message: 'Not Found' } };
  }
}

/** A person with two e-mail addresses, one of them primary and verified. */
export function octocat(): FakeGitHubPerson {
  return {
    id: 583231,
    login: 'octocat',
    name: 'The Octocat',
    emails: [
      { email: 'octocat@users.noreply.example', primary: false, verified: true, visibility: null },
      { email: 'octocat@github.example', primary: true, verified: true, visibility: 'private' },
    ],
    organizations: ['Acme'],
    teams: ['Acme/Builders'],
  };
}

function profileOf(person: FakeGitHubPerson): object {
  return {
    id: person.id,
    login: person.login,
    name: person.name,
    avatar_url: `https://avatars.example/u/${person.id}`,
    email: null,
  };
}

function teamOf(team: string): object {
  const [organization = '', slug = ''] = team.split('/');
  return { slug: slug.toLowerCase(), name: slug, organization: { login: organization } };
}

function page({ url }: FakeRequest, entries: readonly object[]): readonly object[] {
  const size = Number(url.searchParams.get('per_page') ?? 30);
  const start = (Number(url.searchParams.get('page') ?? 1) - 1) * size;
  return entries.slice(start, start + size);
}

function quote(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
