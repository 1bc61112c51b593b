import { createHash, randomBytes } from 'node:crypto';
import { FakeOidc } from '../src/testing/fake-oidc.js';
import { testHouse, type TestHouse } from '../src/testing/house.js';

const REDIRECT_URI = 'http://localhost:7777/callback';

/** What an MCP client got at a vendor's authorization server. */
export type Obtained = { readonly token: string } | { readonly error: string };

/**
 * A vendor's authorization server under its real name: its metadata and tokens carry the vendor's issuer, and requests of `house` to the vendor's host
 * reach this fake. `FakeOidc.accessClaims` and `refuses` make it behave as the vendor does.
 */
export class FakeVendor extends FakeOidc {
  readonly house: TestHouse;
  readonly #plain = testHouse();

  /** @param vendorIssuer for example `https://acme.eu.auth0.com/` */
  constructor(readonly vendorIssuer: string) {
    super({ clientSecret: null, issuerPath: new URL(vendorIssuer).pathname.replace(/\/$/, '') });
    const send: TestHouse['outbound']['send'] = (url, request) => this.#plain.outbound.send(this.here(url), request);
    this.house = testHouse({ outbound: { send } });
    this.idToken = { iss: vendorIssuer };
  }

  override document(): Record<string, unknown> {
    const { origin } = new URL(this.vendorIssuer);
    const text = JSON.stringify({ ...super.document(), issuer: this.vendorIssuer });
    return JSON.parse(text.replaceAll(this.origin, origin)) as Record<string, unknown>;
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.house.close(), this.#plain.close()]);
  }

  /** The address on loopback that an address of the vendor stands for. */
  here(url: URL): URL {
    return url.origin === new URL(this.vendorIssuer).origin ? new URL(url.pathname + url.search, this.origin) : url;
  }

  /** Claims of an access token of this vendor. */
  claims(over: Record<string, unknown>): Record<string, unknown> {
    const now = Math.floor(Date.now() / 1000);
    return { iss: this.vendorIssuer, sub: 'alice-1', iat: now, exp: now + 300, ...over };
  }

  /** Signs in as an MCP client does, with these parameters beside the usual ones. */
  async obtain(parameters: Readonly<Record<string, string>>): Promise<Obtained> {
    const verifier = randomBytes(32).toString('base64url');
    const authorize = new URL(this.paths.authorize, this.origin);
    authorize.search = new URLSearchParams({
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: REDIRECT_URI,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      scope: 'mcp',
      ...parameters,
    }).toString();
    const redirect = new URL((await fetch(authorize, { redirect: 'manual' })).headers.get('location') ?? '');
    const code = redirect.searchParams.get('code');
    if (code === null) return { error: redirect.searchParams.get('error_description') ?? '' };
    const form = { grant_type: 'authorization_code', code, code_verifier: verifier };
    const answer = await fetch(new URL(this.paths.token, this.origin), {
      method: 'POST',
      body: new URLSearchParams({ ...form, client_id: this.clientId, redirect_uri: REDIRECT_URI }),
    });
    return { token: ((await answer.json()) as { access_token: string }).access_token };
  }
}
