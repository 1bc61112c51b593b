import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { octocat } from '../../src/testing/fake-github.js';
import type { Seen } from '../browser.js';
import { signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;b&gt;`;

describe('every page of ours', () => {
  let house: WithGitHub;
  const pages: Record<string, Seen> = {};

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_ALLOW: 'github-org:acme', GATEHOUSE_RATE_LIMITS: 'off' } });
    const { url } = house.gatehouse;
    const client = await TestClient.register(url, {
      client_name: HOSTILE,
      redirect_uris: [`https://app.example/cb?x=%22%3E%3Cscript%3E`, 'http://127.0.0.1:19123/callback'],
    });
    const browser = client.browser();
    pages['sign-in'] = await browser.open(client.authorizeUrl({ state: HOSTILE, login_hint: HOSTILE }));
    pages['a form from elsewhere'] = await browser.submit(
      pages['sign-in'].url,
      new URLSearchParams({ csrf: HOSTILE, provider: HOSTILE }),
      'cross-site',
    );
    pages['an error held back'] = await browser.open(
      client.authorizeUrl({ state: HOSTILE, code_challenge: undefined, scope: HOSTILE }),
    );
    pages['an unknown client'] = await browser.open(client.authorizeUrl({ client_id: HOSTILE }));
    pages['an unknown redirect URI'] = await browser.open(client.authorizeUrl({ redirect_uri: HOSTILE }));
    pages['an unknown Interaction'] = await browser.open(`${url}/login/${encodeURIComponent(HOSTILE)}`);
    pages['a callback from nowhere'] = await browser.open(
      `${url}/callback/github?state=${encodeURIComponent(HOSTILE)}&error=${encodeURIComponent(HOSTILE)}`,
    );
    pages['a callback of an unknown provider'] = await browser.open(`${url}/callback/${encodeURIComponent(HOSTILE)}`);
    pages['the account, signed out'] = await client.browser().open(`${url}/account`);
    pages['a step-up link'] = await browser.open(`${url}/account/widen/${encodeURIComponent(HOSTILE)}`);
    house.github.person = { ...octocat(), id: 5, login: HOSTILE, name: HOSTILE, organizations: [], teams: [] };
    const refused = client.browser();
    await refused.open(client.authorizeUrl());
    pages['a person whom no rule admits'] = await refused.press('provider=github');
    house.github.person = { ...octocat(), name: HOSTILE };
    const { browser: signedIn } = await signIn(await TestClient.register(url));
    pages['consent'] = await signedIn.open(client.authorizeUrl({ state: HOSTILE }), 'cross-site');
  });
  afterAll(() => house.close());

  it('sec-17: may not be framed, run scripts, be kept or tell where it was; its forms may lead anywhere', () => {
    expect(Object.keys(pages)).toHaveLength(12);
    for (const [name, { headers }] of Object.entries(pages)) {
      expect([name, headers.get('content-type')]).toEqual([name, expect.stringContaining('text/html')]);
      const policy = headers.get('content-security-policy') ?? '';
      const directives = new Map(
        policy.split(';').map((directive) => {
          const [key = '', ...values] = directive.trim().split(/\s+/);
          return [key, values.join(' ')];
        }),
      );
      expect([name, directives.get('default-src')]).toEqual([name, "'none'"]);
      expect([name, directives.get('frame-ancestors')]).toEqual([name, "'none'"]);
      expect([name, directives.get('base-uri')]).toEqual([name, "'none'"]);
      expect([name, directives.has('form-action'), policy.includes('unsafe-eval')]).toEqual([name, false, false]);
      expect([name, directives.has('script-src')]).toEqual([name, false]);
      expect([name, headers.get('cache-control')]).toEqual([name, 'no-store']);
      expect([name, headers.get('referrer-policy')]).toEqual([name, 'no-referrer']);
      expect([name, headers.get('x-content-type-options')]).toEqual([name, 'nosniff']);
    }
  });

  it('sec-17: whatever clients, people and addresses are called, it is text', () => {
    const shown: string[] = [];
    for (const [name, { text }] of Object.entries(pages)) {
      expect([name, /<script|<img|onerror='|javascript:/i.test(text)]).toEqual([name, false]);
      if (text.includes('&lt;script&gt;')) shown.push(name);
    }
    expect(shown).toEqual(['sign-in', 'consent']);
  });
});
