import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { octocat } from '../../src/testing/fake-github.js';
import { Browser, formsOf, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { CALLBACK, callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe.each(databases())('signing in with GitHub on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let client: TestClient;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({ env: { GATEHOUSE_DATABASE_URL: place.url } });
    client = await TestClient.register(house.gatehouse.url);
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });
  afterEach(() => {
    house.github.person = octocat();
    house.github.denies = false;
    house.github.mend();
  });

  it('C1: ends at the client with a code, `state` and `iss`, and the token opens the tools', async () => {
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl());
    expect(page.status).toBe(200);
    const text = readable(page);
    expect(text).toContain('Test Client');
    expect(text).toContain('127.0.0.1');
    expect(text).toContain('on this computer');
    expect(text).toContain('Use the tools of this server in your name');
    expect(page.headers.get('content-security-policy')).not.toContain('form-action');
    await browser.press('provider=github');
    const back = browser.stoppedAt;
    expect(`${back.origin}${back.pathname}`).toBe(CALLBACK);
    expect(back.searchParams.get('state')).toBe('client-state');
    expect(back.searchParams.get('iss')).toBe(house.gatehouse.url);
    const answer = await client.redeem(back.searchParams.get('code')!);
    expect(answer.status).toBe(200);
    const call = await callTool(house.gatehouse.mcpUrl, answer.body.access_token!, 'whoami');
    expect(call.status).toBe(200);
    const body = await call.text();
    expect(body).toContain('octocat@github.example');
    expect(body).toContain('github');
  });

  it('A2: the authorize URL may be requested twice, and either copy can be finished', async () => {
    const browser = client.browser();
    await fetch(client.authorizeUrl(), { redirect: 'manual' });
    await browser.open(client.authorizeUrl());
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
  });

  it('C3: reload, back button and two tabs: every render of the page stays submittable', async () => {
    const first = client.browser();
    const page = await first.open(client.authorizeUrl({ state: 'one' }));
    const second = first.tab();
    await second.open(client.authorizeUrl({ state: 'two' }));
    await second.press('provider=github');
    expect(second.stoppedAt.searchParams.get('state')).toBe('two');
    await first.open(page.url);
    await first.open(page.url, 'same-origin');
    await first.press('provider=github');
    expect(first.stoppedAt.searchParams.get('state')).toBe('one');
    expect(first.stoppedAt.searchParams.has('code')).toBe(true);
  });

  it('C3: one page approved in two tabs: both callbacks are answered, one code comes out', async () => {
    const tabs = [client.browser()];
    await tabs[0]!.open(client.authorizeUrl());
    tabs.push(tabs[0]!.tab());
    await tabs[1]!.open(tabs[0]!.last.url);
    const ends = await Promise.all(tabs.map((tab) => tab.press('provider=github')));
    const codes = ends.filter(({ headers }) => headers.get('location')?.includes('code='));
    expect(codes.length).toBeGreaterThanOrEqual(1);
    for (const end of ends) expect(end.status).toBeLessThan(500);
  });

  it('C3: deny ends the Interaction with access_denied, `state` and `iss`', async () => {
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl());
    await browser.press('decision=deny');
    const back = browser.stoppedAt;
    expect(back.searchParams.get('error')).toBe('access_denied');
    expect(back.searchParams.get('state')).toBe('client-state');
    expect(back.searchParams.get('iss')).toBe(house.gatehouse.url);
    expect((await browser.open(page.url)).status).toBe(400);
    expect(readable(browser.last)).toContain('This sign-in is over');
  });

  it('sec-11: a callback without the cookie of the browser that approved gets 4xx and no code', async () => {
    const victim = client.browser();
    const attacker = new Browser([house.github.origin, new URL(CALLBACK).origin]);
    await attacker.open(client.authorizeUrl());
    await attacker.press('provider=github');
    const upstream = await fetch(attacker.stoppedAt, { redirect: 'manual' });
    const callback = upstream.headers.get('location')!;
    const seen = await victim.open(callback, 'cross-site');
    expect(seen.status).toBe(400);
    expect(readable(seen)).toContain('began in another browser');
    const own = await attacker.open(callback, 'cross-site');
    expect(own.headers.get('location')).toContain('code=');
  });

  it('sec-12: an approval without this browser’s token is refused, another Interaction’s token too', async () => {
    const browser = client.browser();
    const one = await browser.open(client.authorizeUrl());
    const token = formsOf(one)[0]!.fields.get('csrf')!;
    const other = await browser.open(client.authorizeUrl());
    const forged = await browser.submit(
      other.url,
      new URLSearchParams({ csrf: token, provider: 'github' }),
      'cross-site',
    );
    expect(forged.status).toBe(403);
    const stranger = client.browser();
    stranger.cookies.push(...browser.cookies.filter(({ name }) => !name.includes('gth_page')));
    expect((await stranger.submit(one.url, new URLSearchParams({ csrf: token, provider: 'github' }))).status).toBe(403);
  });

  it('sec-16: a callback with an unknown or missing state is a page, whatever else it says', async () => {
    for (const query of ['?code=x', '?error=access_denied', '?state=unknown&code=x', '?state=a&state=b']) {
      const seen = await client.browser().open(`${house.gatehouse.url}/callback/github${query}`, 'cross-site');
      expect(seen.status).toBe(400);
      expect(seen.headers.get('content-type')).toContain('text/html');
      expect(seen.headers.get('referrer-policy')).toBe('no-referrer');
    }
  });

  it('sec-14: a callback is good once', async () => {
    const browser = new Browser([house.github.origin, new URL(CALLBACK).origin]);
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    const callback = (await fetch(browser.stoppedAt, { redirect: 'manual' })).headers.get('location')!;
    expect((await browser.open(callback)).headers.get('location')).toContain('code=');
    const again = await browser.open(callback);
    expect(again.status).toBe(400);
    expect(readable(again)).toContain('This sign-in is over');
  });

  it('the person refuses at GitHub: access_denied at the client', async () => {
    house.github.denies = true;
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    expect(browser.stoppedAt.searchParams.get('error')).toBe('access_denied');
    expect(browser.stoppedAt.searchParams.get('state')).toBe('client-state');
  });

  it.each([
    ['GitHub cuts the connection', 'POST /login/oauth/access_token', 'reset'],
    ['GitHub answers 500', 'GET /user', { status: 500, body: 'oops' }],
    ['GitHub answers HTML', 'POST /login/oauth/access_token', { status: 200, body: '<h1>Unicorn</h1>' }],
    ['GitHub answers null', 'GET /user', { status: 200, body: 'null' }],
    [
      'GitHub limits the rate',
      'GET /user',
      { status: 403, headers: { 'retry-after': '60' }, body: { message: 'rate limit' } },
    ],
  ] as const)('%s: temporarily_unavailable at the client, never a 500 page', async (_, route, fault) => {
    house.github.fault(route, fault);
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    expect(browser.stoppedAt.searchParams.get('error')).toBe('temporarily_unavailable');
    expect(browser.stoppedAt.searchParams.get('iss')).toBe(house.gatehouse.url);
  });

  it.each([
    ['the token endpoint', 'POST /login/oauth/access_token'],
    ['the API', 'GET /user'],
  ])(
    'GitHub never answers at %s: temporarily_unavailable at the client when the deadline has passed',
    async (_, route) => {
      house.github.fault(route, 'hang');
      const outbound = house.gatehouse.app.get<HttpOutbound>(OUTBOUND);
      const real = outbound.send.bind(outbound);
      const deadlines: (number | undefined)[] = [];
      // The same deadline, sooner: only for what hangs, so that nothing else depends on the machine's speed.
      const sooner = vi.spyOn(outbound, 'send').mockImplementation((url, request) => {
        if (`${request?.method ?? 'GET'} ${url.pathname}` !== route) return real(url, request);
        deadlines.push(request?.timeoutMs);
        return real(url, { ...request, timeoutMs: 1 });
      });
      try {
        const browser = client.browser();
        await browser.open(client.authorizeUrl());
        await browser.press('provider=github');
        expect(browser.stoppedAt.searchParams.get('error')).toBe('temporarily_unavailable');
        expect(browser.stoppedAt.searchParams.get('state')).toBe('client-state');
        expect(deadlines).toHaveLength(1);
        expect(deadlines[0]).toBeLessThanOrEqual(8000);
      } finally {
        sooner.mockRestore();
      }
    },
  );

  it('sec-47: neither code, state nor cookie value is in a page or in the log', async () => {
    const before = house.gatehouse.logs.length;
    const { browser, answer } = await signIn(client);
    const secrets = [
      ...browser.cookies.map(({ value }) => value),
      answer.body.access_token!,
      answer.body.refresh_token!,
      ...browser.seen.flatMap(({ url }) => [url.searchParams.get('code'), url.searchParams.get('state')]),
      house.github.registration.clientSecret,
    ].filter((secret): secret is string => typeof secret === 'string' && secret.length > 12);
    expect(secrets.length).toBeGreaterThan(4);
    const texts = [...house.gatehouse.logs.slice(before), ...browser.seen.map(({ text }) => text)].join('\n');
    for (const secret of secrets) expect(texts.includes(secret), secret.slice(0, 8)).toBe(false);
  });
});
