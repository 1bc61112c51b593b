import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLBACK, callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const ADMIN_TOKEN = 'an-admin-token-of-more-than-32-characters';

describe('client authentication and sender-constrained tokens', () => {
  let house: WithGitHub;
  let url: string;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off', GATEHOUSE_ADMIN_TOKEN: ADMIN_TOKEN } });
    url = house.gatehouse.url;
  });
  afterAll(() => house.close());

  const register = async (metadata: Record<string, unknown>) => {
    const response = await fetch(`${url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_name: 'Confidential', redirect_uris: [CALLBACK], ...metadata }),
    });
    return (await response.json()) as { client_id: string; client_secret?: string };
  };
  const codeOf = async (client: TestClient, parameters: Record<string, string | undefined> = {}): Promise<string> => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl(parameters));
    if (browser.last.status === 200) await browser.press('provider=github');
    return browser.stoppedAt.searchParams.get('code')!;
  };
  const post = async (path: string, form: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await fetch(url + path, { method: 'POST', headers, body: new URLSearchParams(form) });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
    };
  };
  const redemption = (client: TestClient, code: string) => ({
    grant_type: 'authorization_code',
    code,
    redirect_uri: client.redirectUri,
    code_verifier: client.verifier,
  });
  const basic = (id: string, secret: string): string =>
    `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`;

  it('R5, sec-23: basic and post are interchangeable, a wrong secret is 401 with a Basic challenge, none is refused', async () => {
    for (const method of ['client_secret_basic', 'client_secret_post']) {
      const { client_id: id, client_secret: secret = '' } = await register({ token_endpoint_auth_method: method });
      const client = TestClient.known(url, id);
      const byPost = await post('/token', {
        ...redemption(client, await codeOf(client)),
        client_id: id,
        client_secret: secret,
      });
      expect(byPost.status).toBe(200);
      const code = await codeOf(client);
      const wrong = await post('/token', redemption(client, code), { authorization: basic(id, 'wrong') });
      expect([wrong.status, wrong.body['error']]).toEqual([401, 'invalid_client']);
      expect(wrong.headers.get('www-authenticate')).toMatch(/^Basic/);
      const none = await post('/token', { ...redemption(client, code), client_id: id });
      expect([none.status, none.body['error']]).toEqual([401, 'invalid_client']);
      const byBasic = await post('/token', redemption(client, code), { authorization: basic(id, secret) });
      expect(byBasic.status).toBe(200);
    }
  });

  describe.each([
    ['ES256', 'ES256'],
    ['RS256', 'RS256'],
    ['EdDSA', 'Ed25519'],
  ])('sec-26, R6: private_key_jwt with %s', (alg, keyAlg) => {
    let client: TestClient;
    let key: CryptoKey;

    beforeAll(async () => {
      const pair = await generateKeyPair(keyAlg, { extractable: true });
      key = pair.privateKey;
      const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg, use: 'sig' };
      const { client_id: id } = await register({
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [jwk] },
      });
      client = TestClient.known(url, id);
    });

    const assertion = (claims: Record<string, unknown> = {}) =>
      new SignJWT({ iss: client.id, sub: client.id, aud: url, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg, kid: 'one' })
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(key);
    const redeem = async (jwt: string, code: string) =>
      post('/token', {
        ...redemption(client, code),
        client_id: client.id,
        client_assertion_type: ASSERTION,
        client_assertion: jwt,
      });

    it('takes an assertion for the issuer or the token endpoint, each jti once', async () => {
      for (const aud of [url, `${url}/token`]) {
        const jwt = await assertion({ aud });
        expect((await redeem(jwt, await codeOf(client))).status).toBe(200);
        const replayed = await redeem(jwt, await codeOf(client));
        expect([replayed.status, replayed.body['error']]).toEqual([401, 'invalid_client']);
      }
    });

    it('refuses a foreign audience, subject or issuer, a missing jti, an unsigned or wrongly signed one, and no assertion', async () => {
      const code = await codeOf(client);
      const stranger = await generateKeyPair(keyAlg, { extractable: true });
      const forged = await new SignJWT({ iss: client.id, sub: client.id, aud: url, jti: randomUUID() })
        .setProtectedHeader({ alg, kid: 'one' })
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(stranger.privateKey);
      const parts = (await assertion()).split('.');
      const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${parts[1]}.`;
      const bad = [
        await assertion({ aud: 'https://other.example' }),
        await assertion({ iss: 'somebody' }),
        await assertion({ jti: undefined }),
        forged,
        unsigned,
      ];
      for (const jwt of bad) expect((await redeem(jwt, code)).status).toBe(401);
      expect((await post('/token', { ...redemption(client, code), client_id: client.id })).status).toBe(401);
      expect((await redeem(await assertion(), code)).status).toBe(200);
    });
  });

  it('RFC 9126: a pushed request signs in once; its parameters count, not those of the query', async () => {
    const client = await TestClient.register(url);
    const pushed = await post(
      '/par',
      Object.fromEntries(client.authorizeUrl({ scope: undefined, resource: undefined }).searchParams),
    );
    expect(pushed.status).toBe(201);
    expect(pushed.headers.get('cache-control')).toBe('no-store');
    const requestUri = String(pushed.body['request_uri']);
    const short = new URL(
      `/authorize?${new URLSearchParams({ client_id: client.id, request_uri: requestUri }).toString()}`,
      url,
    );
    const browser = client.browser();
    await browser.open(short);
    await browser.press('provider=github');
    const answer = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect([answer.status, answer.body.scope]).toEqual([200, 'mcp']);
    const again = client.browser();
    expect((await again.open(short)).status).toBeLessThan(500);
    if (again.last.status === 200 && again.last.text.includes('provider')) {
      await again.press('provider=github');
      expect(again.last.headers.get('location') ?? '').not.toContain('code=');
    }
    const bad = await post('/par', {
      client_id: client.id,
      response_type: 'code',
      redirect_uri: 'https://evil.example/',
    });
    expect(bad.status).toBe(400);
  });

  it('RFC 7662: a client learns about its own tokens only; the administrator about all', async () => {
    const { client_id: id, client_secret: secret = '' } = await register({
      token_endpoint_auth_method: 'client_secret_post',
    });
    const own = TestClient.known(url, id);
    const { body } = await post('/token', {
      ...redemption(own, await codeOf(own)),
      client_id: id,
      client_secret: secret,
    });
    const mine = await post('/introspect', {
      token: String(body['access_token']),
      client_id: id,
      client_secret: secret,
    });
    expect(mine.body).toMatchObject({
      active: true,
      client_id: id,
      scope: 'mcp',
      aud: `${url}/mcp`,
      iss: url,
      token_type: 'Bearer',
    });
    const other = await signIn(await TestClient.register(url));
    const theirs = await post('/introspect', { token: other.accessToken, client_id: id, client_secret: secret });
    expect(theirs.body).toEqual({ active: false });
    const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
    expect((await post('/introspect', { token: other.accessToken }, admin)).body).toMatchObject({
      active: true,
      aud: `${url}/mcp`,
    });
    expect((await post('/introspect', { token: other.refreshToken }, admin)).body).toMatchObject({ active: true });
    expect((await post('/introspect', { token: 'nonsense' }, admin)).body).toEqual({ active: false });
    expect((await post('/introspect', { token: other.accessToken }, { authorization: 'Bearer wrong' })).status).toBe(
      401,
    );
    expect((await post('/introspect', { token: other.accessToken })).status).toBe(400);
  });

  describe('RFC 9449: DPoP', () => {
    let client: TestClient;
    let key: CryptoKey;
    let jwk: JWK;
    let token: string;
    let refreshToken: string;

    const proof = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
      new SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${url}/mcp`, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
        .setIssuedAt()
        .sign(key);
    const ath = () => createHash('sha256').update(token).digest('base64url');
    const call = async (dpop: string | null, scheme = 'DPoP') =>
      fetch(`${url}/mcp`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2025-11-25',
          authorization: `${scheme} ${token}`,
          ...(dpop === null ? {} : { dpop }),
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: 'whoami', arguments: {} },
        }),
      });

    beforeAll(async () => {
      client = await TestClient.register(url);
      const pair = await generateKeyPair('ES256', { extractable: true });
      key = pair.privateKey;
      jwk = await exportJWK(pair.publicKey);
      const answer = await post(
        '/token',
        { ...redemption(client, await codeOf(client)), client_id: client.id },
        { dpop: await proof({ htu: `${url}/token` }) },
      );
      expect([answer.status, answer.body['token_type']]).toEqual([200, 'DPoP']);
      token = String(answer.body['access_token']);
      refreshToken = String(answer.body['refresh_token']);
    });

    it('the token works with a proof of its key, once per proof, and never as a plain bearer', async () => {
      const good = await proof({ ath: ath() });
      expect((await call(good)).status).toBe(200);
      expect((await call(good)).status).toBe(401);
      expect((await call(null)).status).toBe(401);
      expect((await call(null, 'Bearer')).status).toBe(401);
      expect((await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status).toBe(401);
    });

    it('refuses a proof for another token, address, method, key or time, and malformed ones', async () => {
      const other = await generateKeyPair('ES256', { extractable: true });
      const otherJwk = await exportJWK(other.publicKey);
      const otherProof = await new SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${url}/mcp`, ath: ath() })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: otherJwk })
        .setIssuedAt()
        .sign(other.privateKey);
      const old = await new SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${url}/mcp`, ath: ath() })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .setIssuedAt(Math.floor(Date.now() / 1000) - 600)
        .sign(key);
      for (const bad of [
        await proof(),
        await proof({ ath: 'x' }),
        await proof({ ath: ath(), htu: `${url}/token` }),
        await proof({ ath: ath(), htu: 'https://evil.example/mcp' }),
        await proof({ ath: ath(), htm: 'GET' }),
        await proof({ ath: ath(), jti: '' }),
        await proof({ ath: ath() }, { typ: 'JWT' }),
        otherProof,
        old,
        'x.y.z',
      ]) {
        const answer = await call(bad);
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toContain('invalid_token');
      }
    });

    it('a public client’s refresh token is bound to the key too, and rotation keeps the binding', async () => {
      const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: client.id };
      expect((await post('/token', form)).body['error']).toBe('invalid_grant');
      const next = await post('/token', form, { dpop: await proof({ htu: `${url}/token` }) });
      expect([next.status, next.body['token_type']]).toEqual([200, 'DPoP']);
      const admin = await post(
        '/introspect',
        { token: String(next.body['access_token']) },
        { authorization: `Bearer ${ADMIN_TOKEN}` },
      );
      expect(admin.body).toMatchObject({ token_type: 'DPoP', cnf: { jkt: await calculateJwkThumbprint(jwk) } });
    });
  });
});
