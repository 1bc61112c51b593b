import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { DatabaseUnavailable } from '../../src/persistence/faults.js';
import { CALLBACK, callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { send, type WireAnswer } from '../wire.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const JSON_TYPE = { 'content-type': 'application/json' };
/** What scripts of other origins may send, and may read of our answers. */
const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Accept',
  'MCP-Protocol-Version',
  'Mcp-Session-Id',
  'Mcp-Method',
  'Mcp-Name',
  'Last-Event-ID',
  'DPoP',
];
const EXPOSED = ['WWW-Authenticate', 'Mcp-Session-Id', 'MCP-Protocol-Version', 'Retry-After', 'DPoP-Nonce'];
const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe('rules that hold for every OAuth endpoint', () => {
  let house: WithGitHub;
  let url: string;
  let client: TestClient;
  let confidential: { client_id: string; client_secret: string };

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off', GATEHOUSE_ADMIN_TOKEN: ADMIN } });
    url = house.gatehouse.url;
    client = await TestClient.register(url);
    const registered = await fetch(`${url}/register`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify({ redirect_uris: [CALLBACK], token_endpoint_auth_method: 'client_secret_post' }),
    });
    confidential = (await registered.json()) as typeof confidential;
  });
  afterAll(() => house.close());
  afterEach(() => vi.restoreAllMocks());

  const names = (list: unknown): string[] =>
    String(list)
      .split(',')
      .map((name) => name.trim().toLowerCase());
  const isOauthError = (answer: WireAnswer, status: number): void => {
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(JSON.parse(answer.text)).toMatchObject({ error: expect.stringMatching(/^[a-z_]+$/) as unknown });
    expect(answer.text).not.toMatch(/node_modules|\.ts\b|\.js\b|SELECT|at \w+ \(/);
  };
  const post = (path: string, body: string, headers: Record<string, string> = FORM) =>
    send({
      to: url,
      path,
      method: 'POST',
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      body,
    });
  /** A request of each endpoint that is fine, but for what a test changes of it. */
  const forms = (): Record<string, URLSearchParams> => ({
    '/token': new URLSearchParams({ client_id: client.id, grant_type: 'refresh_token', refresh_token: 'gth_rt_x' }),
    '/revoke': new URLSearchParams({ client_id: client.id, token: 'gth_rt_x' }),
    '/introspect': new URLSearchParams({ ...confidential, token: 'gth_rt_x' }),
    '/par': new URLSearchParams(client.authorizeUrl().searchParams),
  });

  it('sec-5: every parameter that comes twice is invalid_request at every endpoint, a second resource invalid_target', async () => {
    for (const [path, form] of Object.entries(forms()))
      for (const name of form.keys()) {
        const twice = new URLSearchParams(form);
        twice.append(name, form.get(name)!);
        const answer = await post(path, twice.toString());
        isOauthError(answer, answer.status);
        const { error } = JSON.parse(answer.text) as { error: string };
        expect([path, name, answer.status, error]).toEqual([
          path,
          name,
          400,
          name === 'resource' ? 'invalid_target' : 'invalid_request',
        ]);
      }
    const { refreshToken } = await signIn(client);
    const body = new URLSearchParams({
      client_id: client.id,
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
    });
    for (let i = 0; i < 2; i++) body.append('resource', `${url}/mcp`);
    const target = await post('/token', body.toString());
    isOauthError(target, 400);
    expect(target.text).toContain('invalid_target');
    expect((await client.refresh(refreshToken)).status).toBe(200);
  });

  it('sec-5: at /authorize too, by GET and by POST, and never with a page to approve', async () => {
    const asked = client.authorizeUrl({ scope: 'mcp', prompt: 'consent' });
    for (const name of asked.searchParams.keys()) {
      const twice = new URL(asked);
      twice.searchParams.append(
        name,
        name === 'redirect_uri' ? 'https://evil.example/cb' : asked.searchParams.get(name)!,
      );
      const posted = await fetch(`${url}/authorize`, { method: 'POST', redirect: 'manual', body: twice.searchParams });
      expect(posted.status).toBe(303);
      for (const address of [twice, new URL(posted.headers.get('location')!, url)]) {
        const answer = await fetch(address, { redirect: 'manual' });
        const location = answer.headers.get('location');
        const error =
          location === null
            ? ((await answer.json()) as { error: string }).error
            : new URL(location, url).searchParams.get('error');
        expect([name, error]).toEqual([name, name === 'resource' ? 'invalid_target' : 'invalid_request']);
        expect(answer.headers.get('cache-control')).toBe('no-store');
        // Who asks must be known before anybody is sent anywhere, and then only to what that client registered.
        if (name === 'client_id') expect([answer.status, location]).toEqual([400, null]);
        else expect(location?.startsWith(`${CALLBACK}?`)).toBe(true);
      }
    }
  });

  it('sec-5: bodies are flat: what nests, or is no form, is not read', async () => {
    const { refreshToken } = await signIn(client);
    const nested = `client_id=${client.id}&grant_type=refresh_token&refresh_token[a]=${refreshToken}`;
    isOauthError(await post('/token', nested), 400);
    const json = JSON.stringify({ client_id: client.id, grant_type: 'refresh_token', refresh_token: refreshToken });
    isOauthError(await post('/token', json, JSON_TYPE), 400);
    isOauthError(await post('/token', `__proto__[client_id]=${client.id}&constructor=x`), 400);
    expect((await client.refresh(refreshToken)).status).toBe(200);
  });

  it.each<[string, string, Record<string, string>]>([
    ['an empty body', '', FORM],
    ['no content type', 'a=b', {}],
    ['a type that is none', 'a=b', { 'content-type': ';;;' }],
    ['text', 'a=b', { 'content-type': 'text/plain' }],
    ['broken JSON', '{', JSON_TYPE],
    ['a list', '[1]', JSON_TYPE],
    ['null', 'null', JSON_TYPE],
    ['JSON that nests 100,000 levels', '['.repeat(30_000) + ']'.repeat(30_000), JSON_TYPE],
    ['broken percent-encoding', 'client_id=%zz&token=%', FORM],
    ['NUL', 'client_id=%00&grant_type=%00&token=%00', FORM],
    ['a thousand parameters', Array.from({ length: 1500 }, (_, i) => `p${i}=x`).join('&'), FORM],
    ['an unknown client', 'client_id=nobody&token=x&grant_type=refresh_token', FORM],
    ['bad credentials', 'token=x&grant_type=refresh_token', { ...FORM, authorization: 'Basic !!!' }],
    ['another scheme', 'token=x&grant_type=refresh_token', { ...FORM, authorization: 'Bearer x' }],
  ])('T2, I7: %s is answered as OAuth JSON with no-store everywhere, never a 5xx', async (_, body, headers) => {
    for (const path of ['/token', '/revoke', '/introspect', '/par', '/register']) {
      const answer = await post(path, body, headers);
      expect([path, answer.status]).toEqual([path, answer.status === 401 ? 401 : 400]);
      isOauthError(answer, answer.status);
    }
  });

  it('a body over 64 KiB is 413 at every endpoint, announced or not, and one just below is read', async () => {
    for (const path of ['/token', '/revoke', '/introspect', '/par', '/register', '/authorize']) {
      const headers = path === '/register' ? JSON_TYPE : FORM;
      const over = path === '/register' ? JSON.stringify({ x: 'x'.repeat(65_536) }) : `x=${'x'.repeat(65_536)}`;
      const announced = await send({
        to: url,
        path,
        method: 'POST',
        headers: { ...headers, 'content-length': '65537' },
        unfinished: true,
      });
      isOauthError(announced, 413);
      const chunked = await send({
        to: url,
        path,
        method: 'POST',
        headers: { ...headers, 'transfer-encoding': 'chunked' },
        body: over,
      });
      isOauthError(chunked, 413);
      // What is posted there is answered by a redirect that holds it, and no header may be so long.
      if (path === '/authorize') continue;
      const below = path === '/register' ? JSON.stringify({ x: 'x'.repeat(65_520) }) : `x=${'x'.repeat(65_530)}`;
      expect([path, (await post(path, below, headers)).status]).not.toEqual([path, 413]);
    }
  });

  it('AS-21, T2: no-store whatever the answer: tokens, errors, redirects and refusals of the method', async () => {
    const { answer, refreshToken } = await signIn(client);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect((await client.revoke(refreshToken)).headers.get('cache-control')).toBe('no-store');
    const introspected = await fetch(`${url}/introspect`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN}` },
      body: new URLSearchParams({ token: 'gth_at_x' }),
    });
    expect([introspected.status, introspected.headers.get('cache-control')]).toEqual([200, 'no-store']);
    for (const parameters of [
      {},
      { client_id: 'nobody' },
      { code_challenge: undefined },
      { redirect_uri: 'https://evil.example/' },
    ])
      for (const accept of ['text/html', '*/*']) {
        const asked = await fetch(client.authorizeUrl(parameters), { redirect: 'manual', headers: { accept } });
        expect([parameters, asked.headers.get('cache-control')]).toEqual([parameters, 'no-store']);
      }
    for (const path of ['/token', '/register', '/revoke', '/introspect', '/par'])
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) isOauthError(await send({ to: url, path, method }), 405);
  });

  it('X1: the public endpoints allow and expose exactly the headers of the contract, on errors too', async () => {
    const origin = 'https://app.example';
    for (const [path, method] of [
      ['/mcp', 'POST'],
      ['/token', 'POST'],
      ['/register', 'POST'],
      ['/revoke', 'POST'],
      ['/introspect', 'POST'],
      ['/jwks', 'GET'],
      ['/.well-known/oauth-protected-resource', 'GET'],
      ['/.well-known/oauth-protected-resource/mcp', 'GET'],
      ['/.well-known/oauth-authorization-server', 'GET'],
      ['/.well-known/openid-configuration/mcp', 'GET'],
      ['/.well-known/nothing-here', 'GET'],
    ] as const) {
      const from = path === '/mcp' ? url : origin;
      const preflight = await fetch(url + path, {
        method: 'OPTIONS',
        headers: { origin: from, 'access-control-request-method': method, 'access-control-request-headers': 'x-evil' },
      });
      expect([path, preflight.status]).toEqual([path, 204]);
      expect(names(preflight.headers.get('access-control-allow-headers'))).toEqual(names(ALLOWED));
      expect(names(preflight.headers.get('access-control-allow-methods'))).toContain(method.toLowerCase());
      const answer = await fetch(url + path, { method, headers: { origin: from } });
      expect([path, answer.status]).not.toEqual([path, 500]);
      for (const { headers } of [preflight, answer]) {
        expect(headers.get('access-control-allow-origin')).toBe(path === '/mcp' ? from : '*');
        expect(headers.get('access-control-allow-credentials')).toBeNull();
      }
      expect([path, names(answer.headers.get('access-control-expose-headers'))]).toEqual([path, names(EXPOSED)]);
    }
  });

  it('X1: pages, what cookies open and the admin API tell scripts of other origins nothing', async () => {
    const page = await client.browser().open(client.authorizeUrl());
    for (const path of [
      page.url.pathname,
      '/authorize',
      '/par',
      '/login/x',
      '/consent/x',
      '/callback/github',
      '/account',
      '/admin/v1/users',
      '/admin/v1/nothing',
      '/admin/openapi.json',
      '/admin/docs',
    ])
      for (const method of ['OPTIONS', 'GET', 'POST']) {
        const answer = await fetch(url + path, {
          method,
          redirect: 'manual',
          headers: {
            origin: 'https://app.example',
            authorization: `Bearer ${ADMIN}`,
            'access-control-request-method': 'GET',
            'access-control-request-headers': 'authorization',
          },
        });
        const cors = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'));
        expect([method, path, cors]).toEqual([method, path, []]);
      }
  });

  it('T2: while storage is out of reach every endpoint that needs it is 503 with Retry-After, readable by scripts, and /mcp too', async () => {
    const { accessToken } = await signIn(client);
    const database = house.gatehouse.app.get(Database);
    const down = () => Promise.reject(new DatabaseUnavailable(new Error('no route to host')));
    for (const name of ['rows', 'row', 'commit'] as const) vi.spyOn(database, name).mockImplementation(down);
    vi.spyOn(database, 'repository').mockReturnValue({ find: down, findOneBy: down, findBy: down } as never);
    for (const [path, form] of Object.entries(forms())) {
      const answer = await post(path, form.toString());
      isOauthError(answer, 503);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(JSON.parse(answer.text)).toHaveProperty('error', 'temporarily_unavailable');
      if (path !== '/par') expect(answer.headers['access-control-allow-origin']).toBe('*');
    }
    const registering = await post('/register', JSON.stringify({ redirect_uris: [CALLBACK] }), JSON_TYPE);
    isOauthError(registering, 503);
    const call = await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' });
    expect(call.status).toBe(503);
    expect(Number(call.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(call.headers.get('www-authenticate')).toBeNull();
    vi.restoreAllMocks();
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(200);
  });
});
