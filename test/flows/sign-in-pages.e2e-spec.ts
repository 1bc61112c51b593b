import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Clients } from '../../src/oauth/clients.js';
import { readable } from '../browser.js';
import { signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe('the pages of a sign-in', () => {
  let house: WithGitHub;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_REGISTRATION: 'approval' } });
  });
  afterAll(() => house.close());

  const approve = async (client: TestClient): Promise<void> => {
    const clients = house.gatehouse.app.get(Clients, { strict: false });
    await clients.change(client.id, { status: 'active' }, { actor: 'admin-token', version: null });
  };

  it('a pending client’s people see that it waits for an administrator; once approved the same page signs them in', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'New Here' });
    const browser = client.browser();
    const waiting = await browser.open(client.authorizeUrl());
    expect(waiting.status).toBe(403);
    expect(readable(waiting)).toContain('New Here is new here');
    const reference = /[0-9a-f]{12}/.exec(readable(waiting))?.[0];
    expect(house.gatehouse.logs.join('\n')).toContain(reference);
    await approve(client);
    expect((await browser.open(waiting.url)).status).toBe(200);
    await browser.press('provider=github');
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
  });

  it('sec-15: signing in replaces the login cookie', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Cookies' });
    await approve(client);
    const { browser } = await signIn(client);
    const login = () => browser.cookies.find(({ name }) => name === 'gth_browser')!.value;
    const before = login();
    await signIn(client, { browser, parameters: { prompt: 'login' } });
    expect(login()).not.toBe(before);
  });

  it('cookies are HttpOnly and Lax, and those of a sign-in go when it ends', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Crumbs' });
    await approve(client);
    const { browser } = await signIn(client);
    expect(
      browser.cookies.filter(({ name }) => /login|interaction|resume/.test(name) && !name.includes('interaction')),
    ).toEqual([]);
    for (const { name, httpOnly, sameSite } of browser.cookies) {
      expect(httpOnly, name).toBe(true);
      expect(sameSite.toLowerCase(), name).toBe('lax');
    }
  });

  it('a provider that is not enabled brings the page again, and an odd form is refused', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Odd Forms' });
    await approve(client);
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl());
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)![1]!;
    const again = await browser.submit(page.url, new URLSearchParams({ csrf, provider: 'nobody' }));
    expect(again.url.href).toBe(page.url.href);
    expect(again.status).toBe(200);
    const odd = await fetch(page.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });
    expect(odd.status).toBeGreaterThanOrEqual(400);
    expect(odd.status).toBeLessThan(500);
    expect(odd.headers.get('content-type')).toContain('text/html');
    const huge = await fetch(page.url, { method: 'POST', body: new URLSearchParams({ csrf, x: 'x'.repeat(70_000) }) });
    expect(huge.status).toBe(413);
    expect(huge.headers.get('content-type')).toContain('text/html');
  });
});

describe('behind https', () => {
  let house: WithGitHub;
  const publicUrl = 'https://gate.example';

  beforeAll(async () => {
    house = await startWithGitHub({
      env: { GATEHOUSE_PUBLIC_URL: publicUrl, GATEHOUSE_ALLOW: '*', GATEHOUSE_HOST: '127.0.0.1' },
    });
  });
  afterAll(() => house.close());

  it('sec-11: every cookie is Secure, and the approval’s is a __Host- cookie', async () => {
    const { port } = house.gatehouse.app.getHttpServer().address() as AddressInfo;
    const origin = `http://127.0.0.1:${port}`;
    const headers = { host: 'gate.example' };
    const client = await TestClient.register(origin);
    const authorize = client.authorizeUrl({ resource: `${publicUrl}/mcp` });
    const first = await fetch(authorize, { headers, redirect: 'manual' });
    expect(first.headers.get('location')).toMatch(/^\/login\/|^https:\/\/gate\.example\/login\//);
    const interaction = first.headers.getSetCookie();
    const path = new URL(first.headers.get('location')!, publicUrl).pathname;
    const cookie = interaction.map((line) => line.split(';')[0]).join('; ');
    const page = await fetch(`${origin}${path}`, { headers: { ...headers, cookie } });
    const own = page.headers.getSetCookie();
    const csrf = /name="csrf" value="([^"]+)"/.exec(await page.text())![1]!;
    const approved = await fetch(`${origin}${path}`, {
      method: 'POST',
      redirect: 'manual',
      headers: { ...headers, cookie: [cookie, ...own.map((line) => line.split(';')[0])].join('; ') },
      body: new URLSearchParams({ csrf, provider: 'github' }),
    });
    expect(approved.status).toBe(303);
    expect(new URL(approved.headers.get('location')!).searchParams.get('redirect_uri')).toBe(
      `${publicUrl}/callback/github`,
    );
    const binding = approved.headers.getSetCookie();
    expect(binding).toHaveLength(1);
    expect(binding[0]).toMatch(
      /^__Host-gth_login_[^=]+=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    );
    expect(own[0]).toMatch(/^__Host-gth_page=/);
    for (const line of [...interaction, ...own, ...binding]) expect(line.toLowerCase()).toContain('secure');
  });
});
