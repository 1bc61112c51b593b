import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readable } from '../browser.js';
import { startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe('the authorization endpoint', () => {
  let house: WithGitHub;
  let url: string;
  let loopback: TestClient;
  let web: TestClient;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
    loopback = await TestClient.register(url);
    web = await TestClient.register(url, { redirect_uris: ['https://app.example/cb?tenant=a%2Fb&x=1+2'] });
  });
  afterAll(() => house.close());

  it('A3, R3: an unknown client is 400 here and never a redirect: a page for browsers, JSON for others', async () => {
    const unknown = TestClient.known(url, 'nobody');
    const page = await unknown.browser().open(unknown.authorizeUrl());
    expect(page.status).toBe(400);
    expect(readable(page)).toContain('Claude Code');
    const json = await fetch(unknown.authorizeUrl(), { redirect: 'manual', headers: { accept: '*/*' } });
    expect([json.status, json.headers.get('location')]).toEqual([400, null]);
    expect(await json.json()).toHaveProperty('error', 'invalid_client');
  });

  it('sec-3: a redirect URI that is not registered is 400 here, whatever else is wrong', async () => {
    for (const redirectUri of [
      'https://evil.example/cb',
      'https://app.example/cb',
      'http://localhost:1/other',
      'javascript:alert(1)',
    ]) {
      const answer = await fetch(loopback.authorizeUrl({ redirect_uri: redirectUri, response_type: 'token' }), {
        redirect: 'manual',
      });
      expect([redirectUri, answer.status, answer.headers.get('location')]).toEqual([redirectUri, 400, null]);
    }
  });

  it('A1, AS-13: any port of a registered loopback URI', async () => {
    for (const port of [1, 8080, 65_535]) {
      const answer = await fetch(loopback.authorizeUrl({ redirect_uri: `http://127.0.0.1:${port}/callback` }), {
        redirect: 'manual',
      });
      expect(answer.headers.get('location')).toMatch(/^\/login\//);
    }
  });

  it('sec-4, AS-5: no PKCE, or plain, is an error with `state` and `iss`', async () => {
    for (const parameters of [
      { code_challenge: undefined, code_challenge_method: undefined },
      { code_challenge_method: 'plain' },
      { code_challenge_method: undefined },
      { response_type: 'token' },
      { response_type: 'code id_token', scope: 'openid' },
    ]) {
      const answer = await fetch(loopback.authorizeUrl(parameters), { redirect: 'manual' });
      const back = new URL(answer.headers.get('location')!);
      expect(back.searchParams.get('error')).toMatch(/^(invalid_request|unsupported_response_type)$/);
      expect(back.searchParams.get('state')).toBe('client-state');
      expect(back.searchParams.get('iss')).toBe(url);
      expect(answer.headers.get('cache-control')).toBe('no-store');
    }
  });

  it('sec-9, AS-14: before a person has acted, errors redirect to loopback only; others get a page with a button', async () => {
    const page = await web.browser().open(web.authorizeUrl({ code_challenge: undefined }));
    expect([page.status, page.headers.get('location')]).toEqual([400, null]);
    expect(page.text).toContain('app.example');
    expect(page.text).toContain('error=invalid_request');
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  it('sec-9: GATEHOUSE_ERROR_REDIRECTS=all redirects always', async () => {
    const open = await startWithGitHub({ env: { GATEHOUSE_ERROR_REDIRECTS: 'all' } });
    try {
      const client = await TestClient.register(open.gatehouse.url, { redirect_uris: ['https://app.example/cb'] });
      const answer = await fetch(client.authorizeUrl({ code_challenge: undefined }), { redirect: 'manual' });
      expect(answer.status).toBe(303);
      expect(answer.headers.get('location')).toMatch(/^https:\/\/app\.example\/cb\?error=invalid_request/);
    } finally {
      await open.close();
    }
  });

  it('A4: POST becomes GET, state may be absent, the query of a registered URI stays byte for byte', async () => {
    const posted = await fetch(`${url}/authorize`, {
      method: 'POST',
      redirect: 'manual',
      body: loopback.authorizeUrl().searchParams,
    });
    expect(posted.status).toBe(303);
    expect(posted.headers.get('location')).toMatch(/^\/authorize\?/);
    const browser = web.browser();
    await browser.open(web.authorizeUrl({ state: undefined }));
    await browser.press('provider=github');
    const location = browser.last.headers.get('location')!;
    expect(location.startsWith('https://app.example/cb?tenant=a%2Fb&x=1+2&code=')).toBe(true);
    expect(location.match(/iss=/g)).toHaveLength(1);
    expect(location).not.toContain('state=');
  });

  it('A4: redirect_uri may be missing when exactly one is registered', async () => {
    const answer = await fetch(loopback.authorizeUrl({ redirect_uri: undefined }), { redirect: 'manual' });
    expect(answer.headers.get('location')).toMatch(/^\/login\//);
  });

  it('AS-12: a code goes to a known editor’s scheme', async () => {
    const cursor = await TestClient.register(url, { redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback'] });
    const browser = cursor.browser();
    await browser.open(cursor.authorizeUrl());
    await browser.press('provider=github');
    expect(browser.last.headers.get('location')).toMatch(/^cursor:\/\/anysphere\.cursor-mcp\/oauth\/callback\?code=/);
  });

  it('S1: unknown scopes are dropped, a nonce without openid too; openid brings an ID token', async () => {
    const plain = loopback.browser();
    await plain.open(loopback.authorizeUrl({ scope: 'unknown offline_access', nonce: 'n', prompt: 'select_account' }));
    await plain.press('provider=github');
    const { body } = await loopback.redeem(plain.stoppedAt.searchParams.get('code')!);
    expect(body.scope).toBe('mcp');
    expect(body).not.toHaveProperty('id_token');
    const openid = loopback.browser();
    await openid.open(loopback.authorizeUrl({ scope: 'openid mcp', nonce: 'n' }));
    await openid.press('provider=github');
    const signed = await loopback.redeem(openid.stoppedAt.searchParams.get('code')!);
    expect(signed.status).toBe(200);
    const claims = JSON.parse(
      Buffer.from(String(signed.body['id_token']).split('.')[1]!, 'base64url').toString(),
    ) as Record<string, unknown>;
    expect(claims).toMatchObject({ iss: url, aud: loopback.id, nonce: 'n' });
  });

  it('I7: hostile parameters are never a 500', async () => {
    for (const parameters of [
      { state: '\0' },
      { scope: '"<>' },
      { prompt: 'none' },
      { max_age: '-1', scope: 'openid' },
      { claims: '{', scope: 'openid' },
      { id_token_hint: 'x', scope: 'openid' },
      { request: 'x' },
      { request_uri: 'https://evil.example/' },
      { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      { response_mode: 'form_post' },
      { response_type: 'code token' },
      { client_id: 'a\0b' },
      { client_id: '__proto__' },
      { redirect_uri: 'http://127.0.0.1:19123/callback\0' },
      { resource: '\0' },
      { code_challenge: 'x' },
    ] as Record<string, string>[]) {
      const answer = await fetch(loopback.authorizeUrl(parameters), { redirect: 'manual' });
      expect([parameters, answer.status < 500]).toEqual([parameters, true]);
    }
  });
});
