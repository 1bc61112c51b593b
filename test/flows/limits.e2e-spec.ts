import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Browser, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { CALLBACK, callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { send, type WireAnswer } from '../wire.js';

describe('what a client may register', () => {
  let house: WithGitHub;
  let url: string;
  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
  });
  afterAll(() => house.close());

  const register = async (metadata: Record<string, unknown>) => {
    const answer = await fetch(`${url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(metadata),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const sized = (bytes: number, i = 0): string => `https://a.example/${i}/`.padEnd(bytes, 'x');

  it('sec-2: twenty redirect URIs of 2 KiB, and no more or longer ones', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => sized(2048, i));
    const full = await register({ redirect_uris: many(20) });
    expect([full.status, full.body['redirect_uris']]).toEqual([201, many(20)]);
    for (const redirect_uris of [many(21), [sized(2049)], ['https://a.example/cb', sized(2049)]]) {
      const refused = await register({ redirect_uris });
      expect([refused.status, refused.body['error']]).toEqual([400, 'invalid_redirect_uri']);
    }
    const last = TestClient.known(url, String(full.body['client_id']), sized(2048, 19));
    const page = await last.browser().open(last.authorizeUrl());
    expect(page.status).toBe(200);
  });

  it('a name is at most 200 characters, and nothing in it turns the text of the page around', async () => {
    const hostile = `\u202EknaB\u202C\u0000\u0007\r\n ruoY\u2066\u200B<b>&"'${'€'.repeat(300)}`;
    const { status, body } = await register({ client_name: hostile, redirect_uris: [CALLBACK] });
    expect(status).toBe(201);
    const name = String(body['client_name']);
    expect(Array.from(name)).toHaveLength(200);
    expect(name).toMatch(/^knaB ruoY<b>&"'€+$/);
    const client = TestClient.known(url, String(body['client_id']));
    const page = await client.browser().open(client.authorizeUrl());
    expect(readable(page)).toContain(name);
    expect(page.text).not.toMatch(/\p{Cf}|(?!\s)\p{Cc}/u);
    expect(page.text).not.toContain('<b>');
  });

  it('a name of nothing but such characters is the place the client returns to', async () => {
    const { body } = await register({ client_name: '\u202E\u200B\u0000', redirect_uris: ['https://app.example/cb'] });
    expect(body['client_name']).toBe('app.example');
  });
});

describe('how often', () => {
  it('sec-45, R4: registrations are counted by address, those of IPv6 by /64, and believed of trusted proxies only', async () => {
    const register = (house: WithGitHub, from: string): Promise<WireAnswer> => {
      const body = JSON.stringify({ redirect_uris: [CALLBACK] });
      const headers = { 'content-type': 'application/json', 'x-forwarded-for': from };
      return send({ to: house.gatehouse.url, path: '/register', method: 'POST', headers, body });
    };
    const behind = await startWithGitHub({ env: { GATEHOUSE_TRUSTED_PROXIES: '127.0.0.0/8' } });
    const direct = await startWithGitHub();
    try {
      const statuses = async (house: WithGitHub, addresses: readonly string[]) =>
        (await Promise.all(addresses.map((address) => register(house, address)))).map(({ status }) => status);
      const one64 = Array.from({ length: 60 }, (_, i) => `2001:db8:0:1::${(i + 1).toString(16)}`);
      expect(new Set(await statuses(behind, one64))).toEqual(new Set([201]));
      expect(await statuses(behind, ['2001:db8:0:1:ffff::1'])).toEqual([429]);
      expect(await statuses(behind, ['2001:db8:0:2::1', '198.51.100.7'])).toEqual([201, 201]);
      const many = Array.from({ length: 61 }, (_, i) => `198.51.100.${i}`);
      expect((await statuses(direct, many)).filter((status) => status === 429)).toHaveLength(1);
    } finally {
      await behind.close();
      await direct.close();
    }
  });

  it('/token is counted by client and person, not by address', async () => {
    const house = await startWithGitHub();
    try {
      const busy = await TestClient.register(house.gatehouse.url, { client_name: 'Busy' });
      const { refreshToken } = await signIn(busy);
      const refusals: number[] = [];
      for (let round = 0; round < 31; round++) {
        const answers = await Promise.all(Array.from({ length: 10 }, () => busy.refresh(refreshToken)));
        for (const { status, headers, body } of answers) {
          if (status === 200) continue;
          refusals.push(status);
          expect([status, body.error]).toEqual([429, 'temporarily_unavailable']);
          expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
          expect(headers.get('cache-control')).toBe('no-store');
        }
      }
      expect(refusals.length).toBeGreaterThan(5);
      const other = await TestClient.register(house.gatehouse.url, { client_name: 'Calm' });
      const { accessToken } = await signIn(other);
      expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(200);
    } finally {
      await house.close();
    }
  });
});

describe.each(databases())('how long, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let client: TestClient;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({ env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_RATE_LIMITS: 'off' } });
    client = await TestClient.register(house.gatehouse.url);
  });
  afterAll(async () => {
    await house?.close();
    await place?.drop();
  });

  it('a code is good for a minute', async () => {
    const codeOf = async (): Promise<string> => {
      const browser = client.browser();
      await browser.open(client.authorizeUrl());
      await browser.press('provider=github');
      return browser.stoppedAt.searchParams.get('code')!;
    };
    const redeemedAfter = async (seconds: number) => {
      const code = await codeOf();
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
      return client.redeem(code).finally(() => vi.useRealTimers());
    };
    expect((await redeemedAfter(55)).status).toBe(200);
    const late = await redeemedAfter(61);
    expect([late.status, late.body.error]).toEqual([400, 'invalid_grant']);
  });

  it('sec-11: one browser has at most eight sign-ins on their way; the newest eight can be finished', async () => {
    const tabs: Browser[] = [];
    const first = new Browser([house.github.origin, new URL(CALLBACK).origin]);
    for (let i = 0; i < 10; i++) {
      const tab = i === 0 ? first : first.tab();
      await tab.open(client.authorizeUrl({ state: `tab ${i}` }));
      await tab.press('provider=github');
      tabs.push(tab);
      const bound = first.cookies.filter(({ name }) => name.includes('gth_login_'));
      expect(bound).toHaveLength(Math.min(i + 1, 8));
    }
    const ends: (string | null)[] = [];
    for (const tab of tabs) {
      const callback = (await fetch(tab.stoppedAt, { redirect: 'manual' })).headers.get('location')!;
      const seen = await tab.open(callback, 'cross-site');
      const location = seen.headers.get('location');
      ends.push(location?.includes('code=') ? new URL(location).searchParams.get('state') : null);
    }
    expect(ends).toEqual([null, null, ...Array.from({ length: 8 }, (_, i) => `tab ${i + 2}`)]);
  });

  it('sec-29: four wrong verifiers leave a code as it was, five end it, and a stranger’s count for nothing', async () => {
    const codeOf = async (): Promise<string> => {
      const browser = client.browser();
      await browser.open(client.authorizeUrl());
      await browser.press('provider=github');
      return browser.stoppedAt.searchParams.get('code')!;
    };
    const stranger = await TestClient.register(house.gatehouse.url, { client_name: 'Stranger' });
    const spoil = async (by: TestClient, code: string, times: number): Promise<void> => {
      for (let i = 0; i < times; i++)
        expect((await by.redeem(code, { code_verifier: 'w'.repeat(43 + i) })).body.error).toBe('invalid_grant');
    };
    const four = await codeOf();
    await spoil(client, four, 4);
    expect((await client.redeem(four)).status).toBe(200);
    const strange = await codeOf();
    await spoil(stranger, strange, 8);
    expect((await client.redeem(strange)).status).toBe(200);
    const five = await codeOf();
    await spoil(client, five, 5);
    expect((await client.redeem(five)).body.error).toBe('invalid_grant');
    const atOnce = await codeOf();
    await Promise.all(Array.from({ length: 12 }, () => client.redeem(atOnce, { code_verifier: 'w'.repeat(43) })));
    expect((await client.redeem(atOnce)).body.error).toBe('invalid_grant');
  });
});
