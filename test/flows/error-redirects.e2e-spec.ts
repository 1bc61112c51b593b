import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Clients } from '../../src/oauth/clients.js';
import { HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { Browser, readable } from '../browser.js';
import { signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

/** What a client did wrong before any person was asked. */
const FAULTS: Record<string, Record<string, string | undefined>> = {
  'no PKCE': { code_challenge: undefined },
  'another response type': { response_type: 'token' },
  'prompt=none with nobody signed in': { prompt: 'none' },
  'another resource': { resource: 'https://other.example/mcp' },
};

describe('where an error of an authorization request goes before a person has acted', () => {
  const DOCUMENT = 'https://docs.example/client.json';
  let house: WithGitHub;
  let url: string;
  let documents: Record<string, unknown> = {};

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
    documents = {
      client_id: DOCUMENT,
      client_name: 'Document Client',
      redirect_uris: ['https://docs.example/cb', 'https://elsewhere.example/cb', 'http://localhost/cb'],
    };
    const outbound = house.gatehouse.app.get<HttpOutbound>(OUTBOUND);
    const real = outbound.send.bind(outbound);
    vi.spyOn(outbound, 'send').mockImplementation(async (target, request) =>
      request?.trust === 'stranger'
        ? { status: 200, headers: new Headers({ 'content-type': 'application/json' }), text: JSON.stringify(documents) }
        : real(target, request),
    );
  });
  afterAll(() => house.close());

  const ask = (client: TestClient, parameters: Record<string, string | undefined>) =>
    fetch(client.authorizeUrl(parameters), { redirect: 'manual', headers: { accept: 'text/html' } });
  const isPageFor = async (answer: Response, host: string): Promise<void> => {
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
    const text = await answer.text();
    expect(text).toContain(host);
    expect(text).toContain('error=');
    expect(text).not.toMatch(/http-equiv|<script/i);
  };

  it.each(Object.entries(FAULTS))(
    'sec-9, AS-14: %s: a stranger’s browser stays here, with a button that goes on',
    async (_, fault) => {
      const client = await TestClient.register(url, { redirect_uris: ['https://app.example/cb'] });
      await isPageFor(await ask(client, fault), 'app.example');
      const native = await TestClient.register(url, {
        redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback'],
      });
      await isPageFor(await ask(native, fault), 'cursor:');
    },
  );

  it.each(Object.entries(FAULTS))(
    'sec-9: %s: a client that an administrator approved gets its error at once',
    async (_, fault) => {
      const client = await TestClient.register(url, {
        client_name: 'Approved',
        redirect_uris: ['https://approved.example/cb'],
      });
      const clients = house.gatehouse.app.get(Clients, { strict: false });
      await clients.change(client.id, { status: 'active' }, { actor: 'admin-token', version: null });
      const answer = await ask(client, fault);
      expect(answer.status).toBe(303);
      const back = new URL(answer.headers.get('location')!);
      expect(back.origin).toBe('https://approved.example');
      expect([back.searchParams.has('error'), back.searchParams.get('iss')]).toEqual([true, url]);
    },
  );

  it('sec-9: a metadata document vouches for its own host and for loopback, not for another host', async () => {
    for (const [redirectUri, redirects] of [
      ['https://docs.example/cb', true],
      ['http://localhost:5555/cb', true],
      ['https://elsewhere.example/cb', false],
    ] as const) {
      const answer = await ask(TestClient.known(url, DOCUMENT, redirectUri), { code_challenge: undefined });
      if (redirects) expect(answer.headers.get('location')?.startsWith(`${redirectUri}?error=`)).toBe(true);
      else await isPageFor(answer, 'elsewhere.example');
    }
  });

  it('sec-9: what a person decided on our page goes to any client by itself', async () => {
    const client = await TestClient.register(url, { redirect_uris: ['https://app.example/cb'] });
    const browser = new Browser(['https://app.example']);
    await browser.open(client.authorizeUrl());
    await browser.press('decision=deny');
    expect(browser.stoppedAt.searchParams.get('error')).toBe('access_denied');
  });

  it('sec-25: a document that names itself anew, or another place to return to, is asked about again', async () => {
    const client = TestClient.known(url, DOCUMENT, 'https://docs.example/cb');
    const { browser } = await signIn(client);
    const skips = async (): Promise<boolean> =>
      ((await browser.open(client.authorizeUrl())).headers.get('location') ?? '').includes('code=');
    expect(await skips()).toBe(true);
    const later = async (seconds: number, check: () => Promise<void>): Promise<void> => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
      await check().finally(() => vi.useRealTimers());
    };
    documents = { ...documents, client_name: 'Another Name' };
    await later(120, async () => {
      expect(await skips()).toBe(false);
      expect(readable(browser.last)).toContain('Another Name');
    });
    documents = { ...documents, client_name: 'Document Client' };
    await later(240, async () => expect(await skips()).toBe(true));
    documents = { ...documents, redirect_uris: ['https://docs.example/cb', 'https://new.example/cb'] };
    await later(360, async () => expect(await skips()).toBe(false));
  });

  it('sec-21: a client that registered itself gets no token by another grant, and nothing but codes', async () => {
    const answer = await fetch(`${url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: ['http://127.0.0.1:19123/callback'],
        grant_types: ['implicit', 'password', 'client_credentials', 'authorization_code'],
        response_types: ['token', 'id_token', 'code'],
        token_endpoint_auth_method: 'client_secret_post',
      }),
    });
    const body = (await answer.json()) as Record<string, string>;
    expect([body['grant_types'], body['response_types']]).toEqual([['authorization_code'], ['code']]);
    const client = TestClient.known(url, body['client_id']!);
    const secret = { client_secret: body['client_secret']! };
    for (const grant of [
      { grant_type: 'client_credentials', scope: 'mcp' },
      { grant_type: 'password', username: 'x', password: 'x' },
      { grant_type: 'implicit' },
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: 'x.y.z' },
      { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'x' },
    ]) {
      const refused = await client.token({ ...secret, ...grant });
      expect([grant.grant_type, refused.status, refused.body.error]).toEqual([
        grant.grant_type,
        400,
        'unsupported_grant_type',
      ]);
    }
    for (const type of ['token', 'id_token', 'code token', 'none']) {
      const back = await ask(client, { response_type: type, scope: 'openid', nonce: 'n' });
      expect(new URL(back.headers.get('location')!).searchParams.get('error')).toBe('unsupported_response_type');
    }
  });
});
