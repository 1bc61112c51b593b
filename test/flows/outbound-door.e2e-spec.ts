import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Injectable } from '@nestjs/common';
import { Tool, Upstream, type UpstreamToken } from '../../src/index.js';
import { HttpOutbound } from '../../src/outbound/http-outbound.js';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { GOOGLE_PATHS } from '../../src/testing/fake-oidc-paths.js';
import type { FakeServer } from '../../src/testing/fake-server.js';
import { accessClaims } from '../../src/testing/foreign-tokens.js';
import { freePort, startGatehouse, type RunningGatehouse } from '../gatehouse.js';
import { CALLBACK, callTool, signIn, TestClient } from '../oauth-client.js';

@Injectable()
class GitHubTools {
  @Tool({ description: 'Uses the upstream', upstream: { hub: ['repo'] } })
  repositories(_: object, @Upstream('hub') token: UpstreamToken): string {
    return `with ${token.scopes.length} scopes`;
  }
}

const ADMIN = 'an-admin-token-of-thirty-two-characters';

describe('every way out of the house', () => {
  const fakes: Record<string, FakeServer> = {};
  let oidc: FakeOidc;
  let gatehouse: RunningGatehouse;
  const sent: string[] = [];

  beforeAll(async () => {
    const hub = await new FakeGitHub({ clientId: 'id/with ?#%2F', clientSecret: 'hub-secret' }).listen();
    hub.expiresIn = 1;
    const google = await new FakeOidc({ clientId: 'goog', clientSecret: 'goog-secret', paths: GOOGLE_PATHS }).listen();
    oidc = await new FakeOidc({ clientId: 'corp', clientSecret: 'corp-secret' }).listen();
    const partner = await new FakeOidc().listen();
    const remote = await new FakeOidc().listen();
    const asked = await new FakeOidc({ clientId: 'asker', clientSecret: 'asker-secret' }).listen();
    Object.assign(fakes, { hub, google, oidc, partner, remote, asked });
    // Before the start: some discover then.
    const doors = new HttpOutbound();
    const real = doors.send.bind(doors);
    vi.spyOn(HttpOutbound.prototype, 'send').mockImplementation((url, request) => {
      sent.push(`${request?.method ?? 'GET'} ${url.href}`);
      return real(url, request);
    });
    gatehouse = await startGatehouse({
      port: await freePort(),
      tools: [GitHubTools],
      env: {
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_PROVIDERS: 'hub:github,google,corp:oidc,partner:jwt,far:remote,asked:introspection',
        GATEHOUSE_HUB_CLIENT_ID: hub.registration.clientId,
        GATEHOUSE_HUB_CLIENT_SECRET: 'hub-secret',
        GATEHOUSE_HUB_BASE_URL: hub.origin,
        GATEHOUSE_HUB_API_URL: hub.origin,
        GATEHOUSE_GOOGLE_CLIENT_ID: 'goog',
        GATEHOUSE_GOOGLE_CLIENT_SECRET: 'goog-secret',
        GATEHOUSE_GOOGLE_AUTHORIZATION_URL: `${google.origin}/o/oauth2/v2/auth`,
        GATEHOUSE_GOOGLE_TOKEN_URL: `${google.origin}/token`,
        GATEHOUSE_GOOGLE_USERINFO_URL: `${google.origin}/v1/userinfo`,
        GATEHOUSE_CORP_ISSUER: oidc.issuer,
        GATEHOUSE_CORP_CLIENT_ID: 'corp',
        GATEHOUSE_CORP_CLIENT_SECRET: 'corp-secret',
        GATEHOUSE_PARTNER_JWKS_URI: `${partner.origin}/jwks`,
        GATEHOUSE_PARTNER_ISSUER: partner.issuer,
        GATEHOUSE_FAR_ISSUER: remote.issuer,
        GATEHOUSE_ASKED_URL: `${asked.origin}/introspect`,
        GATEHOUSE_ASKED_CLIENT_ID: 'asker',
        GATEHOUSE_ASKED_CLIENT_SECRET: 'asker-secret',
      },
    });
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await gatehouse?.close();
    for (const fake of Object.values(fakes)) await fake.close();
  });

  it('sec-46: sign-ins of every kind, refreshes, verifications and farewells all go through the one door', async () => {
    const before = sent.length;
    const client = await TestClient.register(gatehouse.url);
    const people: string[] = [];
    for (const provider of ['hub', 'google', 'corp']) {
      const { accessToken, refreshToken } = await signIn(client, { button: `provider=${provider}` });
      expect((await client.refresh(refreshToken)).status).toBe(200);
      const whoami = await (await callTool(gatehouse.mcpUrl, accessToken, 'whoami')).text();
      expect(whoami).toContain(provider);
      await callTool(gatehouse.mcpUrl, accessToken, 'repositories');
    }
    const { partner, remote, asked } = fakes as Record<string, FakeOidc>;
    for (const issuer of [partner!, remote!])
      await callTool(gatehouse.mcpUrl, await issuer.sign(accessClaims(issuer, gatehouse.mcpUrl)), 'hello', {
        name: 'x',
      });
    await callTool(gatehouse.mcpUrl, asked!.mintOpaque(['mcp']), 'hello', { name: 'x' });
    const admin = { authorization: `Bearer ${ADMIN}` };
    await fetch(`${gatehouse.url}/admin/v1/providers`, { headers: admin });
    const users = (await (await fetch(`${gatehouse.url}/admin/v1/users`, { headers: admin })).json()) as {
      items: { id: string }[];
    };
    for (const { id } of users.items) people.push(id);
    expect(people.length).toBeGreaterThan(1);
    for (const id of people) await fetch(`${gatehouse.url}/admin/v1/users/${id}`, { method: 'DELETE', headers: admin });
    await expect.poll(() => sent.filter((line) => line.startsWith('DELETE ')).length).toBeGreaterThan(0);

    // What the browser asked of the fakes, as a person would, is not ours.
    const browsers = ['/login/oauth/authorize', '/o/oauth2/v2/auth', '/authorize'];
    for (const [name, fake] of Object.entries(fakes)) {
      const through = () => sent.filter((line) => line.includes(fake.origin)).toSorted();
      const arrived = () =>
        fake.requests
          .filter(({ url }) => !browsers.includes(url.pathname))
          .map(({ method, url }) => `${method} ${url.href}`)
          .toSorted();
      expect([name, through().length > 0]).toEqual([name, true]);
      await expect.poll(() => [name, arrived()]).toEqual([name, through()]);
    }
    expect(sent.length).toBeGreaterThan(before + 10);
  });

  it('sec-46: what stands in a path is encoded, one segment each', () => {
    const farewell = sent.find((line) => line.startsWith('DELETE '))!;
    expect(farewell).toBe(`DELETE ${fakes['hub']!.origin}/applications/id%2Fwith%20%3F%23%252F/token`);
  });

  it('sec-22: no display URL of a client is fetched, linked where it is not https, or shown as a picture', async () => {
    const before = sent.length;
    const canary = fakes['partner']!;
    const seen = canary.requests.length;
    const client = await TestClient.register(gatehouse.url, {
      client_name: 'Pictures',
      logo_uri: 'https://display.example/logo.png',
      client_uri: 'https://display.example/',
      policy_uri: `${canary.origin}/policy`,
      tos_uri: 'javascript:alert(1)',
      redirect_uris: [CALLBACK],
    });
    const browser = client.browser();
    const { text } = await browser.open(client.authorizeUrl());
    expect(text).toContain('Pictures');
    expect(text).not.toMatch(/<img|<link|background-image|url\(/);
    expect(text).not.toContain(canary.origin);
    expect(text).not.toContain('javascript:');
    await browser.press('provider=hub');
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
    expect(sent.slice(before).filter((line) => line.includes('display.example'))).toEqual([]);
    expect(canary.requests.length).toBe(seen);
  });
});
