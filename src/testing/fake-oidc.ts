import { compactVerify, importJWK, type JWK, type JWTPayload } from 'jose';
import { type FakeOidcPaths, GENERIC_PATHS } from './fake-oidc-paths.js';
import { type FakeAnswer, type FakeRequest, FakeServer } from './fake-server.js';
import { FakeSigningKeys } from './fake-signing-keys.js';
import { provesChallenge, randomText } from './pkce.js';

/** A person at the fake: the claims of id_token and userinfo. */
export interface FakeOidcPerson extends Record<string, unknown> {
  sub: string;
}

interface Options {
  readonly clientId?: string;
  /** null: a public client. */
  readonly clientSecret?: string | null;
  readonly paths?: FakeOidcPaths;
  /** Path of the issuer, for example `/realms/acme`. */
  readonly issuerPath?: string;
}

interface Session {
  readonly person: FakeOidcPerson;
  readonly scopes: string[];
  /** The authorization request it began with. */
  readonly request: URLSearchParams;
}
interface Code extends Session {
  readonly challenge: string;
  readonly redirectUri: string;
  readonly nonce: string | null;
}

/** A strict OpenID Connect provider on loopback: it checks client, secret, redirect URI, PKCE and tokens, and can be told to misbehave. */
export class FakeOidc extends FakeServer {
  person: FakeOidcPerson = {
    sub: 'alice-1',
    email: 'alice@acme.example',
    email_verified: true,
    name: 'Alice',
    preferred_username: 'alice',
  };
  denies = false;
  /** Grants only these of the scopes asked for, as where the person unticks a box; undefined: all. */
  grants: readonly string[] | undefined;
  asksPerson = false;
  /** Seconds of an access token. */
  expiresIn = 3600;
  /** false: the same refresh token works again and none comes back. */
  rotates = true;
  /** true: the token answer always brings a refresh token; false: only for `offline_access`. */
  alwaysRefreshes = false;
  /** Laid over the metadata document; undefined takes a member away. */
  metadata: Record<string, unknown> = {};
  /** Laid over each id_token's claims. */
  idToken: JWTPayload = {};
  /** Where it sends browsers after a sign-out. */
  postLogoutRedirectUris: string[] = [];
  /** Subjects that signed out there. */
  readonly signedOut: string[] = [];
  /** Parameters of an authorization request that it refuses, each with the description it gives. */
  refuses: Readonly<Record<string, string>> = {};
  /** Claims of the access token that an authorization request gets, then a JWT; null: an opaque one. */
  accessClaims: (request: URLSearchParams) => Record<string, unknown> | null = () => null;
  /** The server compares Basic credentials without decoding them, as glewlwyd does. */
  decodesBasic = true;
  readonly clientId: string;
  readonly clientSecret: string | null;
  readonly paths: FakeOidcPaths;
  readonly #issuerPath: string;
  readonly #codes = new Map<string, Code>();
  readonly #access = new Map<string, Session>();
  readonly #refresh = new Map<string, Session>();
  readonly #keys = new FakeSigningKeys();

  constructor(options: Options = {}) {
    super();
    this.clientId = options.clientId ?? 'oidc-client';
    this.clientSecret = options.clientSecret === undefined ? 'oidc-secret' : options.clientSecret;
    this.paths = options.paths ?? GENERIC_PATHS;
    this.#issuerPath = options.issuerPath ?? '';
    const { authorize, token, userinfo, jwks, introspect, revoke, endSession } = this.paths;
    this.on(`GET ${this.#issuerPath}/.well-known/openid-configuration`, () => ({ body: this.document() }));
    this.on(`GET ${authorize}`, ({ url }) => this.#authorize(url.searchParams));
    this.on(`POST ${authorize}`, ({ form }) => this.#redirect(form, form.get('decision') === 'allow'));
    this.on(`POST ${token}`, (request) => this.#token(request));
    this.on(`GET ${userinfo}`, (request) => this.#userinfo(request));
    this.on(`GET ${jwks}`, () => ({ body: { keys: this.#keys.published } }));
    this.on(`POST ${introspect}`, (request) => this.#introspect(request));
    this.on(`POST ${revoke}`, (request) => this.#revoke(request));
    this.on(`GET ${endSession}`, ({ url }) => this.#endSession(url.searchParams));
  }

  override async listen(port = 0): Promise<this> {
    await this.#keys.begin();
    return super.listen(port);
  }

  get issuer(): string {
    return `${this.origin}${this.#issuerPath}`;
  }

  /** The metadata document it serves. */
  document(): Record<string, unknown> {
    const at = (path: string): string => `${this.origin}${path}`;
    const { authorize, token, userinfo, jwks, introspect, revoke, endSession } = this.paths;
    return JSON.parse(
      JSON.stringify({
        issuer: this.issuer,
        authorization_endpoint: at(authorize),
        token_endpoint: at(token),
        userinfo_endpoint: at(userinfo),
        jwks_uri: at(jwks),
        introspection_endpoint: at(introspect),
        revocation_endpoint: at(revoke),
        end_session_endpoint: at(endSession),
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
        code_challenge_methods_supported: ['S256'],
        ...this.metadata,
      }),
    ) as Record<string, unknown>;
  }

  /** Signs with a new key from now on. `keep`: the old ones stay in the JWKS. */
  rotateKeys(options?: { alg?: string; keep?: boolean }): Promise<void> {
    return this.#keys.rotate(options);
  }

  /** The public key that signs now. */
  get publicJwk(): JWK {
    return this.#keys.publicJwk;
  }

  /** A JWT signed by the present key. `claims` undefined members are left out; `header` is laid over `alg` and `kid`. */
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string> {
    return this.#keys.sign(claims, header);
  }

  /** An opaque access token that its introspection endpoint and userinfo know. */
  mintOpaque(scopes: string[] = ['mcp'], person: FakeOidcPerson = this.person): string {
    const token = randomText();
    this.#access.set(token, { person, scopes, request: new URLSearchParams() });
    return token;
  }

  /** Takes back what it gave, as a person does who removes the application there. `subject` undefined: everybody's. */
  forgetTokens(subject?: string): void {
    for (const tokens of [this.#access, this.#refresh])
      for (const [token, { person }] of tokens)
        if (subject === undefined || person.sub === subject) tokens.delete(token);
  }

  knows(token: string): boolean {
    return this.#access.has(token) || this.#refresh.has(token);
  }

  #authorize(query: URLSearchParams): FakeAnswer {
    if (query.get('client_id') !== this.clientId) return { status: 400, body: '<h1>unknown client</h1>' };
    if (query.get('code_challenge_method') !== 'S256') return { status: 400, body: '<h1>PKCE is required</h1>' };
    const refused = Object.keys(this.refuses).find((name) => query.has(name));
    if (refused !== undefined) return errorRedirect(query, 'invalid_target', this.refuses[refused] ?? '');
    if (!this.asksPerson) return this.#redirect(query, !this.denies);
    const fields = [...query].map(
      ([name, value]) =>
        `<input type="hidden" name="${name}" value="${value.replace(/[&"<>]/g, (c) => `&#${c.charCodeAt(0)};`)}">`,
    );
    return {
      body: `<!doctype html><title>Sign in</title><form method="post" action="${this.paths.authorize}">${fields.join('')}
<button name="decision" value="allow">Continue</button> <button name="decision" value="deny">Cancel</button></form>`,
    };
  }

  #redirect(query: URLSearchParams, allowed: boolean): FakeAnswer {
    const target = new URL(query.get('redirect_uri') ?? '');
    const state = query.get('state');
    if (state !== null) target.searchParams.set('state', state);
    if (allowed) {
      const code = randomText();
      this.#codes.set(code, {
        person: this.person,
        scopes: (query.get('scope') ?? '').split(' ').filter((scope) => !this.grants || this.grants.includes(scope)),
        challenge: query.get('code_challenge') ?? '',
        redirectUri: query.get('redirect_uri') ?? '',
        nonce: query.get('nonce'),
        request: query,
      });
      target.searchParams.set('code', code);
    } else {
      target.searchParams.set('error', 'access_denied');
    }
    return { status: 302, headers: { location: target.href }, body: '' };
  }

  async #token(request: FakeRequest): Promise<FakeAnswer> {
    if (!this.#isClient(request)) return { status: 401, body: { error: 'invalid_client' } };
    const { form } = request;
    if (form.get('grant_type') === 'refresh_token') {
      const refreshToken = form.get('refresh_token') ?? '';
      const session = this.#refresh.get(refreshToken);
      if (!session) return { status: 400, body: { error: 'invalid_grant' } };
      if (this.rotates) this.#refresh.delete(refreshToken);
      return this.#issue(session, { nonce: null, withRefresh: this.rotates });
    }
    const code = this.#codes.get(form.get('code') ?? '');
    this.#codes.delete(form.get('code') ?? '');
    if (
      !code ||
      !provesChallenge(form.get('code_verifier'), code.challenge) ||
      form.get('redirect_uri') !== code.redirectUri
    )
      return { status: 400, body: { error: 'invalid_grant' } };
    const withRefresh = this.alwaysRefreshes || code.scopes.includes('offline_access');
    return this.#issue(code, { nonce: code.nonce, withRefresh });
  }

  async #issue(
    session: Session,
    { nonce, withRefresh }: { nonce: string | null; withRefresh: boolean },
  ): Promise<FakeAnswer> {
    const { person, scopes, request } = session;
    const claims = this.accessClaims(request);
    const accessToken = claims ? await this.sign(claims) : randomText();
    this.#access.set(accessToken, session);
    const refreshToken = withRefresh ? randomText() : undefined;
    if (refreshToken) this.#refresh.set(refreshToken, session);
    const now = Math.floor(Date.now() / 1000);
    const idToken = await this.sign({
      iss: this.issuer,
      aud: this.clientId,
      iat: now,
      exp: now + 300,
      ...(nonce === null ? {} : { nonce }),
      ...person,
      ...this.idToken,
    });
    return {
      body: {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: this.expiresIn,
        scope: scopes.join(' '),
        ...(scopes.includes('openid') ? { id_token: idToken } : {}),
        ...(refreshToken ? { refresh_token: refreshToken } : {}),
      },
    };
  }

  #userinfo(request: FakeRequest): FakeAnswer {
    const session = this.#access.get(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '');
    return session ? { body: session.person } : { status: 401, body: '' };
  }

  #introspect(request: FakeRequest): FakeAnswer {
    if (!this.#isClient(request)) return { status: 401, body: { error: 'invalid_client' } };
    const session = this.#access.get(request.form.get('token') ?? '');
    if (!session) return { body: { active: false } };
    const exp = Math.floor(Date.now() / 1000) + this.expiresIn;
    const { person, scopes } = session;
    return {
      body: {
        active: true,
        iss: this.issuer,
        sub: person.sub,
        client_id: 'an-mcp-client',
        scope: scopes.join(' '),
        exp,
        aud: person['aud'],
      },
    };
  }

  #revoke(request: FakeRequest): FakeAnswer {
    const token = request.form.get('token') ?? '';
    const session = this.#access.get(token) ?? this.#refresh.get(token);
    if (!session) return { status: 400, body: { error: 'invalid_token' } };
    this.#access.delete(token);
    this.#refresh.delete(token);
    return { body: '' };
  }

  /** As strict as the strictest: without the hint, or towards an address that is not registered, nothing is ended. */
  async #endSession(query: URLSearchParams): Promise<FakeAnswer> {
    const hint = query.get('id_token_hint');
    const target = query.get('post_logout_redirect_uri') ?? '';
    if (hint === null || query.get('client_id') !== this.clientId || !this.postLogoutRedirectUris.includes(target))
      return { status: 400, body: '<h1>cannot sign you out</h1>' };
    const { payload } = await compactVerify(hint, await importJWK(this.publicJwk));
    const claims = JSON.parse(new TextDecoder().decode(payload)) as JWTPayload;
    if (claims.aud !== this.clientId) return { status: 400, body: '<h1>not a token of this client</h1>' };
    this.signedOut.push(String(claims.sub));
    const location = new URL(target);
    const state = query.get('state');
    if (state !== null) location.searchParams.set('state', state);
    return { status: 302, headers: { location: location.href }, body: '' };
  }

  #isClient({ headers, form }: FakeRequest): boolean {
    const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1];
    if (basic !== undefined) {
      const pair = Buffer.from(basic, 'base64').toString().split(':');
      const [id, secret] = this.decodesBasic ? pair.map((part) => decodeURIComponent(part.replaceAll('+', ' '))) : pair;
      return id === this.clientId && secret === this.clientSecret;
    }
    return (
      form.get('client_id') === this.clientId &&
      (this.clientSecret === null || form.get('client_secret') === this.clientSecret)
    );
  }
}

function errorRedirect(query: URLSearchParams, error: string, description: string): FakeAnswer {
  const target = new URL(query.get('redirect_uri') ?? '');
  target.search = new URLSearchParams({
    state: query.get('state') ?? '',
    error,
    error_description: description,
  }).toString();
  return { status: 302, headers: { location: target.href }, body: '' };
}
