import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Injectable } from '@nestjs/common';
import { Tool } from '../../src/index.js';
import { octocat } from '../../src/testing/fake-github.js';
import type { Browser } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

@Injectable()
class NoteTools {
  @Tool({ description: 'Reads', scopes: ['notes:read'] })
  readNote(): string {
    return 'a note';
  }

  @Tool({ description: 'Writes', scopes: ['notes:write'] })
  writeNote(): string {
    return 'written';
  }
}

describe.each(databases())('a remembered approval on $name', (kind) => {
  const ONE = 'https://app.example/one';
  const TWO = 'https://app.example/two';
  let place: TestDatabase;
  let house: WithGitHub;
  let client: TestClient;
  let browser: Browser;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      tools: [NoteTools],
      env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_ADMINS: 'github-org:acme', GATEHOUSE_RATE_LIMITS: 'off' },
    });
    client = await TestClient.register(house.gatehouse.url, { redirect_uris: [ONE, TWO] });
    const approved = await signIn(client, { parameters: { scope: 'mcp notes:read' } });
    browser = approved.browser;
    expect(approved.answer.body.scope?.split(' ').toSorted()).toEqual(['mcp', 'notes:read']);
  });
  afterAll(async () => {
    await house?.close();
    await place?.drop();
  });

  /** Does the browser get a code without a page? Asks as a browser that sends this header; null: as one that sends none. */
  const skips = async (
    parameters: Record<string, string> = {},
    {
      site = 'none',
      as = client,
      cookies = browser,
    }: { site?: string | null; as?: TestClient; cookies?: Browser } = {},
  ): Promise<boolean> => {
    const answer = await fetch(as.authorizeUrl({ scope: 'mcp notes:read', ...parameters }), {
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        cookie: cookies.cookies
          .filter(({ path }) => path === '/')
          .map(({ name, value }) => `${name}=${value}`)
          .join('; '),
        ...(site === null ? {} : { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' }),
      },
    });
    const location = answer.headers.get('location') ?? '';
    expect(answer.status).toBe(303);
    expect(location.startsWith('https://app.example/') || /^\/(login|consent)\//.test(location)).toBe(true);
    return location.includes('code=');
  };

  it.each([
    ['none', true],
    ['same-origin', true],
    ['same-site', false],
    ['cross-site', false],
    ['None', false],
    ['none, cross-site', false],
    ['', false],
    [null, false],
  ])('sec-13: with Sec-Fetch-Site %s it counts: %s', async (site, counts) => {
    expect(await skips({}, { site })).toBe(counts);
  });

  it('sec-13: counts for the scopes approved and for fewer, not for one more', async () => {
    expect(await skips({ scope: 'mcp notes:read' })).toBe(true);
    expect(await skips({ scope: 'mcp' })).toBe(true);
    expect(await skips({ scope: 'mcp notes:write' })).toBe(false);
    expect(await skips({ scope: 'mcp notes:read notes:write' })).toBe(false);
    expect(await skips({ scope: 'mcp notes:read openid' })).toBe(false);
  });

  it('sec-13: does not count for another registered redirect URI, another resource or another client', async () => {
    expect(await skips({ redirect_uri: TWO })).toBe(false);
    expect(await skips({ resource: `${house.gatehouse.url}/admin/v1`, scope: 'admin' })).toBe(false);
    const twin = await TestClient.register(house.gatehouse.url, { redirect_uris: [ONE], client_name: 'Twin' });
    expect(await skips({ redirect_uri: ONE }, { as: twin })).toBe(false);
    expect(await skips()).toBe(true);
  });

  it('sec-13: does not count for another person in the same browser, nor in a browser in which nobody is signed in', async () => {
    house.github.person = { ...octocat(), id: 99, login: 'hubot', name: 'Hubot' };
    const other = await signIn(await TestClient.register(house.gatehouse.url, { client_name: 'Other' }));
    house.github.person = octocat();
    expect(await skips({}, { cookies: other.browser })).toBe(false);
    expect(await skips({}, { cookies: client.browser() })).toBe(false);
  });

  it('sec-13: does not count where the client asks for a new sign-in or consent, and skipping makes a Grant of its own', async () => {
    expect(await skips({ prompt: 'consent' })).toBe(false);
    expect(await skips({ prompt: 'login' })).toBe(false);
    const grants: string[] = [];
    for (let i = 0; i < 2; i++) {
      await browser.open(client.authorizeUrl({ scope: 'mcp' }));
      const { body } = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
      grants.push(body.refresh_token!);
    }
    expect((await client.revoke(grants[0]!)).status).toBe(200);
    expect((await client.refresh(grants[0]!)).body.error).toBe('invalid_grant');
    expect((await client.refresh(grants[1]!)).status).toBe(200);
  });
});
