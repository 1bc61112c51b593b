import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tool, ToolError, Upstream, UpstreamRefused, type UpstreamToken } from '../../src/index.js';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { GOOGLE_PATHS } from '../../src/testing/fake-oidc-paths.js';
import { accessClaims } from '../../src/testing/foreign-tokens.js';
import { readable } from '../browser.js';
import { freePort, type RunningGatehouse, startGatehouse, TOKEN } from '../gatehouse.js';
import { callTool, signIn, TestClient } from '../oauth-client.js';

/** Tools that use upstream tokens as tools do: against the upstream's API. */
@Injectable()
class CalendarTools {
  static origin = '';

  @Tool({ description: 'My calendar', upstream: { google: ['calendar.readonly'] } })
  async calendar(_: unknown, @Upstream('google') token: UpstreamToken): Promise<string> {
    const answer = await fetch(`${CalendarTools.origin}/v1/userinfo`, {
      headers: { authorization: `Bearer ${token.accessToken}` },
    });
    if (answer.status === 401) throw new UpstreamRefused(token);
    if (!answer.ok) throw new ToolError('the calendar is closed');
    const { email } = (await answer.json()) as { email: string };
    return `${email} with ${token.scopes.join(' ')}`;
  }
}

const ADMIN = 'an-admin-token-of-thirty-two-characters';

describe('several ways in at once', () => {
  let github: FakeGitHub;
  let google: FakeOidc;
  let issuer: FakeOidc;
  let gatehouse: RunningGatehouse;
  let client: TestClient;

  beforeAll(async () => {
    github = await new FakeGitHub().listen();
    google = await new FakeOidc({ clientId: 'goog', clientSecret: 'goog-secret', paths: GOOGLE_PATHS }).listen();
    google.alwaysRefreshes = true;
    google.rotates = false;
    CalendarTools.origin = google.origin;
    issuer = await new FakeOidc().listen();
    gatehouse = await startGatehouse({
      port: await freePort(),
      tools: [CalendarTools],
      env: {
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_PROVIDERS: 'google,github,static-token,partner:jwt',
        GATEHOUSE_GITHUB_CLIENT_ID: 'gh-client',
        GATEHOUSE_GITHUB_CLIENT_SECRET: 'gh-secret',
        GATEHOUSE_GITHUB_BASE_URL: github.origin,
        GATEHOUSE_GITHUB_API_URL: github.origin,
        GATEHOUSE_GOOGLE_CLIENT_ID: 'goog',
        GATEHOUSE_GOOGLE_CLIENT_SECRET: 'goog-secret',
        GATEHOUSE_GOOGLE_AUTHORIZATION_URL: `${google.origin}/o/oauth2/v2/auth`,
        GATEHOUSE_GOOGLE_TOKEN_URL: `${google.origin}/token`,
        GATEHOUSE_GOOGLE_USERINFO_URL: `${google.origin}/v1/userinfo`,
        GATEHOUSE_PARTNER_JWKS_URI: `${issuer.origin}/jwks`,
        GATEHOUSE_PARTNER_ISSUER: issuer.issuer,
      },
    });
    client = await TestClient.register(gatehouse.url);
  });
  afterAll(async () => {
    await gatehouse.close();
    await Promise.all([github.close(), google.close(), issuer.close()]);
  });

  const textOf = async (token: string, name: string, args: Record<string, unknown> = {}): Promise<string> => {
    const answer = await callTool(gatehouse.mcpUrl, token, name, args);
    expect(answer.status).toBe(200);
    return answer.text();
  };

  it('the page has one button for each login provider, in the operator’s order', async () => {
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl());
    const text = readable(page);
    expect(text.indexOf('Google')).toBeGreaterThan(0);
    expect(text.indexOf('GitHub')).toBeGreaterThan(text.indexOf('Google'));
    expect(text).toContain('calendar.readonly');
  });

  it('Google, GitHub, a static token and a foreign JWT all reach hello, and whoami says which way each came', async () => {
    const ways: [string, string][] = [
      ['google', (await signIn(client, { button: 'provider=google' })).accessToken],
      ['github', (await signIn(client, { button: 'provider=github' })).accessToken],
      ['static-token', TOKEN],
      ['partner', await issuer.sign(accessClaims(issuer, gatehouse.mcpUrl))],
    ];
    for (const [via, token] of ways) {
      expect(await textOf(token, 'hello', { name: via })).toContain(`hello, ${via}`);
      expect(await textOf(token, 'whoami')).toMatch(new RegExp(`"via": ?"${via}"`));
    }
  });

  it('a foreign issuer that is down makes its tokens 503, and nobody else’s', async () => {
    issuer.fault('GET /jwks', 'reset');
    await issuer.rotateKeys({ alg: 'ES256' });
    const undecided = await callTool(
      gatehouse.mcpUrl,
      await issuer.sign(accessClaims(issuer, gatehouse.mcpUrl)),
      'hello',
      { name: 'x' },
    );
    expect(undecided.status).toBe(503);
    expect(undecided.headers.get('retry-after')).toBeTruthy();
    expect(await textOf(TOKEN, 'hello', { name: 'still here' })).toContain('still here');
    issuer.mend();
  });

  it('an upstream’s own access token opens nothing here (security rule 32)', async () => {
    await signIn(client, { button: 'provider=google' });
    const answer = await callTool(gatehouse.mcpUrl, google.mintOpaque(['openid']), 'hello', { name: 'x' });
    expect(answer.status).toBe(401);
  });

  it('a tool gets the person’s upstream token, with the scopes it declared asked for at sign-in', async () => {
    const { accessToken } = await signIn(client, { button: 'provider=google' });
    const asked = google.requests
      .findLast(({ url }) => url.pathname === '/o/oauth2/v2/auth')
      ?.url.searchParams.get('scope');
    expect(asked).toBe('openid email profile calendar.readonly');
    expect(await textOf(accessToken, 'calendar')).toContain(
      'alice@acme.example with openid email profile calendar.readonly',
    );
  });

  it('T2: a token that died early is renewed for the next call; a dead grant says how to reconnect, and ends at the next refresh', async () => {
    const { accessToken, refreshToken } = await signIn(client, { button: 'provider=google' });
    google.fault('GET /v1/userinfo', { status: 401, body: '' });
    expect(await textOf(accessToken, 'calendar')).toContain('repeat the call');
    google.mend();
    expect(await textOf(accessToken, 'calendar')).toContain('alice@acme.example');
    google.forgetTokens();
    const told = await textOf(accessToken, 'calendar');
    expect(told).toContain('"isError":true');
    expect(told).toContain(`sign in with Google at ${gatehouse.url}/account`);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    const again = await signIn(client, { button: 'provider=google' });
    expect(await textOf(again.accessToken, 'calendar')).toContain('alice@acme.example');
  });

  it('T2: an API that refuses every token costs one refresh; then the person is told how to reconnect', async () => {
    const { accessToken } = await signIn(client, { button: 'provider=google' });
    google.fault('GET /v1/userinfo', { status: 401, body: '' });
    const before = google.count('POST /token');
    expect(await textOf(accessToken, 'calendar')).toContain('repeat the call');
    for (let call = 0; call < 2; call++)
      expect(await textOf(accessToken, 'calendar')).toContain(`sign in with Google at ${gatehouse.url}/account`);
    expect(google.count('POST /token')).toBe(before + 1);
    google.mend();
    const again = await signIn(client, { button: 'provider=google' });
    expect(await textOf(again.accessToken, 'calendar')).toContain('alice@acme.example');
  });

  it('a permission that the person unticks at Google is missing for the tool that needs it, and for nothing else', async () => {
    google.grants = ['openid', 'email', 'profile'];
    const { accessToken } = await signIn(client, { button: 'provider=google' });
    google.grants = undefined;
    expect(await textOf(accessToken, 'calendar')).toContain(
      'a permission at your Google account that it does not have: calendar.readonly. To give it, sign in with Google',
    );
    expect(await textOf(accessToken, 'hello', { name: 'Alice' })).toContain('hello, Alice');
    const again = await signIn(client, { button: 'provider=google' });
    expect(await textOf(again.accessToken, 'calendar')).toContain('calendar.readonly');
  });

  it('a caller without an account at that provider is told which one the tool needs', async () => {
    expect(await textOf(TOKEN, 'calendar')).toContain('This tool needs your Google account');
  });

  it('erasing a person revokes their tokens at the upstream too', async () => {
    google.person = { ...google.person, sub: 'bob-2', email: 'bob@acme.example' };
    const { accessToken } = await signIn(client, { button: 'provider=google' });
    expect(await textOf(accessToken, 'calendar')).toContain('bob@acme.example');
    const used =
      google.requests.findLast(({ url }) => url.pathname === '/v1/userinfo')?.headers.authorization?.slice(7) ?? '';
    const admin = { authorization: `Bearer ${ADMIN}` };
    const list = (await (await fetch(`${gatehouse.url}/admin/v1/users`, { headers: admin })).json()) as {
      items: { id: string; email: string }[];
    };
    const bob = list.items.find(({ email }) => email === 'bob@acme.example');
    const erased = await fetch(`${gatehouse.url}/admin/v1/users/${bob?.id}`, { method: 'DELETE', headers: admin });
    expect(erased.status).toBeLessThan(300);
    while (google.count('POST /revoke') === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(google.requests.findLast(({ url }) => url.pathname === '/revoke')?.form.get('token')).not.toBe(used);
    expect((await callTool(gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(401);
  });

  it('sec-47: no upstream token, code or secret is in the log', () => {
    const logs = gatehouse.logs.join('\n');
    for (const { form, headers } of [...google.requests, ...github.requests])
      for (const value of [
        form.get('code'),
        form.get('refresh_token'),
        form.get('code_verifier'),
        headers.authorization?.slice(7),
      ])
        if (value) expect(logs.includes(value)).toBe(false);
    expect(logs).not.toContain('goog-secret');
    expect(logs).not.toContain('gh-secret');
  });
});
