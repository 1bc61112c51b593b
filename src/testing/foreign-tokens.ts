import type { FakeOidc } from './fake-oidc.js';

/** Claims of a good access token of `fake` for `audience`, RFC 9068. */
export function accessClaims(
  fake: FakeOidc,
  audience: string,
  scopes: readonly string[] = ['mcp'],
): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: fake.issuer,
    sub: 'alice-1',
    aud: audience,
    exp: now + 300,
    iat: now,
    client_id: 'an-mcp-client',
    scope: scopes.join(' '),
  };
}

/** JWTs that no verifier may accept, by what is wrong with them. */
export function badJwts(fake: FakeOidc, audience: string): Record<string, () => Promise<string>> {
  const now = Math.floor(Date.now() / 1000);
  const signed = (over: Record<string, unknown>, header: Record<string, unknown> = {}) =>
    fake.sign({ ...accessClaims(fake, audience), ...over }, header);
  const spoiled = async (spoil: (parts: string[]) => string[]): Promise<string> =>
    spoil((await signed({})).split('.')).join('.');
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    'a token that has ended': () => signed({ exp: now - 60 }),
    'a token without exp': () => signed({ exp: undefined }),
    'a token whose exp is text': () => signed({ exp: String(now + 300) }),
    'a token of tomorrow (nbf)': () => signed({ nbf: now + 600 }),
    'a token issued tomorrow (iat)': () => signed({ iat: now + 600 }),
    'a token for another audience': () => signed({ aud: 'https://other.example/mcp' }),
    'a token for our audience and a slash': () => signed({ aud: `${audience}/` }),
    'a token without aud': () => signed({ aud: undefined }),
    'a token with an empty aud': () => signed({ aud: [] }),
    'a token of another issuer': () => signed({ iss: 'https://evil.example' }),
    'a token without iss': () => signed({ iss: undefined }),
    'a token with an unknown crit': () => signed({}, { crit: ['moon'], moon: 'full' }),
    'a logout token': () => signed({}, { typ: 'logout+jwt' }),
    'a token bound to a client certificate': () => signed({ cnf: { 'x5t#S256': 'abc' } }),
    'a token with a changed payload': () =>
      spoiled(([head = '', , signature = '']) => [
        head,
        encode({ ...accessClaims(fake, audience), sub: 'root' }),
        signature,
      ]),
    'a token with a cut signature': () =>
      spoiled(([head = '', payload = '', signature = '']) => [head, payload, signature.slice(0, -4)]),
    'a token with alg none': () => spoiled(([, payload = '']) => [encode({ alg: 'none', typ: 'JWT' }), payload, '']),
  };
}

/** The names of `badJwts`. */
export const BAD_JWTS: readonly string[] = [
  'a token that has ended',
  'a token without exp',
  'a token whose exp is text',
  'a token of tomorrow (nbf)',
  'a token issued tomorrow (iat)',
  'a token for another audience',
  'a token for our audience and a slash',
  'a token without aud',
  'a token with an empty aud',
  'a token of another issuer',
  'a token without iss',
  'a token with an unknown crit',
  'a logout token',
  'a token bound to a client certificate',
  'a token with a changed payload',
  'a token with a cut signature',
  'a token with alg none',
];
