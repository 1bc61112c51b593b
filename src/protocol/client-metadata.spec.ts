import { describe, expect, it } from 'vitest';
import { cleanName, faultOfDocument, isDocumentUrl, isFault, readClientMetadata } from './client-metadata.js';

const base = { client_name: 'A client', redirect_uris: ['https://a.example/cb'] };
const read = (more: Record<string, unknown> = {}) => {
  const metadata = readClientMetadata({ ...base, ...more });
  if (isFault(metadata)) throw new Error(metadata.description);
  return metadata;
};

describe('client metadata', () => {
  it('R2: drops foreign members, nulls, empty strings, foreign grant types and scope', () => {
    expect(
      read({
        client_uri: '',
        logo_uri: null,
        tos_uri: 'http://a.example/tos',
        policy_uri: 'javascript:alert(1)',
        scope: 'a b',
        contacts: [''],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code', null],
        response_types: ['code', 'token'],
        code_challenge_method: 'S256',
        client_id: 'chosen-by-client',
        client_secret: 'chosen-by-client',
        status: 'active',
        trusted: true,
        id_token_signed_response_alg: 'none',
      }),
    ).toEqual({
      ...base,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'web',
    });
  });

  it('sec-21: grant types without the code flow become the two we have', () => {
    expect(read({ grant_types: ['client_credentials'] }).grant_types).toEqual(['authorization_code', 'refresh_token']);
    expect(read({ grant_types: ['implicit', 'password'] }).grant_types).toEqual([
      'authorization_code',
      'refresh_token',
    ]);
    expect(read({ grant_types: ['authorization_code'] }).grant_types).toEqual(['authorization_code']);
  });

  it('sec-22: display URLs that are not https are dropped', () => {
    expect(read({ logo_uri: 'data:image/png;base64,AA' })).not.toHaveProperty('logo_uri');
    expect(read({ logo_uri: 'https://user:pw@a.example/l.png' })).not.toHaveProperty('logo_uri');
    expect(read({ logo_uri: 'https://a.example/l.png' })).toHaveProperty('logo_uri', 'https://a.example/l.png');
  });

  it('AS-11: application_type follows the redirect URIs, whatever the client says', () => {
    expect(
      read({ application_type: 'web', redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback'] })
        .application_type,
    ).toBe('native');
    expect(read({ application_type: 'native' }).application_type).toBe('web');
    expect(read({ redirect_uris: ['http://localhost/cb'] }).application_type).toBe('native');
  });

  it('reads the ways to authenticate', () => {
    expect(read({ token_endpoint_auth_method: 'client_secret_post' }).token_endpoint_auth_method).toBe(
      'client_secret_post',
    );
    expect(read({ token_endpoint_auth_method: 'client_secret_jwt' }).token_endpoint_auth_method).toBe(
      'client_secret_basic',
    );
    expect(read({ token_endpoint_auth_method: 'tls_client_auth' }).token_endpoint_auth_method).toBe('none');
    expect(read({ token_endpoint_auth_method: null }).token_endpoint_auth_method).toBe('none');
  });

  it('R6: private_key_jwt needs public keys, inline or by https', () => {
    const method = { token_endpoint_auth_method: 'private_key_jwt' };
    const key = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' };
    expect(read({ ...method, jwks: { keys: [key] } }).jwks).toEqual({ keys: [key] });
    expect(read({ ...method, jwks_uri: 'https://a.example/jwks' }).jwks_uri).toBe('https://a.example/jwks');
    for (const bad of [
      {},
      { jwks: { keys: [] } },
      { jwks: { keys: [{ ...key, d: 'secret' }] } },
      { jwks: { keys: [{ kty: 'oct', k: 'x' }] } },
      { jwks_uri: 'http://a.example/jwks' },
    ])
      expect(readClientMetadata({ ...base, ...method, ...bad })).toHaveProperty('error', 'invalid_client_metadata');
    expect(read({ jwks: { keys: [key] }, jwks_uri: 'https://a.example/jwks' })).not.toHaveProperty('jwks');
  });

  it.each([
    [null, 'invalid_client_metadata'],
    [[], 'invalid_client_metadata'],
    ['text', 'invalid_client_metadata'],
    [{}, 'invalid_redirect_uri'],
    [{ redirect_uris: [] }, 'invalid_redirect_uri'],
    [{ redirect_uris: 'https://a.example/cb' }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['https://a.example/cb', 'javascript:alert(1)'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: Array.from({ length: 21 }, (_, i) => `https://a.example/${i}`) }, 'invalid_redirect_uri'],
  ])('sec-2: %j → %s', (body, error) => {
    expect(readClientMetadata(body)).toHaveProperty('error', error);
  });

  it('names are cleaned of control and bidirectional characters, and cut', () => {
    expect(cleanName('  A\u202Eevil\u0000\n client ')).toBe('Aevil client');
    expect(cleanName('\u200B\u2066')).toBeNull();
    expect(cleanName('x'.repeat(300))).toHaveLength(200);
    expect(cleanName(7)).toBeNull();
    expect(read({ client_name: '' }).client_name).toBe('a.example');
  });

  it('reading twice changes nothing', () => {
    const once = read({ software_id: 'x', dpop_bound_access_tokens: true });
    expect(readClientMetadata({ ...once, client_id: 'x' })).toEqual(once);
  });
});

describe('client ID metadata documents', () => {
  const url = 'https://a.example/client.json';
  const document = { ...base, client_id: url };

  it('AS-7, sec-25: names itself, has a name and redirect URIs, and holds no secret', () => {
    expect(faultOfDocument(url, document)).toBeNull();
    expect(faultOfDocument(url, { ...document, client_id: `${url}/` })).not.toBeNull();
    expect(faultOfDocument(url, { ...document, client_name: undefined })).not.toBeNull();
    expect(faultOfDocument(url, { ...document, redirect_uris: [] })).not.toBeNull();
    expect(faultOfDocument(url, { ...document, client_secret: 'x' })).not.toBeNull();
    expect(faultOfDocument(url, { ...document, client_secret_expires_at: 0 })).not.toBeNull();
    expect(faultOfDocument(url, { ...document, token_endpoint_auth_method: 'client_secret_basic' })).not.toBeNull();
    expect(faultOfDocument(url, [document])).not.toBeNull();
    expect(faultOfDocument(url, null)).not.toBeNull();
  });

  it.each([
    ['https://a.example/client.json', true],
    ['https://a.example/a?b=c', true],
    ['https://a.example', false],
    ['https://a.example/', false],
    ['http://a.example/client.json', false],
    ['HTTPS://a.example/client.json', false],
    ['https://a.example/client.json#x', false],
    ['https://user@a.example/client.json', false],
    ['https://a.example/x/../client.json', false],
    ['https://a.example/x/%2E%2e/client.json', false],
    ['https://a.example/ client.json', false],
    ['https://a.example\\client.json', false],
    ['a client', false],
  ])('AS-9: is %s a client_id? %s', (id, expected) => {
    expect(isDocumentUrl(id)).toBe(expected);
  });
});
