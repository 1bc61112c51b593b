import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { legacy } from '../mcp.js';
import { callTool, signIn, startWithGitHub, TestClient } from '../oauth-client.js';
import { send, type WireAnswer, type WireRequest } from '../wire.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

describe('the door of /mcp', () => {
  let gatehouse: RunningGatehouse;
  let url: string;

  beforeAll(async () => {
    gatehouse = await startGatehouse({ env: { GATEHOUSE_ADMIN_TOKEN: ADMIN } });
    url = gatehouse.url;
  });
  afterAll(() => gatehouse.close());

  const GOOD: Record<string, string> = {
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  const ask = (request: Omit<WireRequest, 'to'>): Promise<WireAnswer> => send({ to: url, path: '/mcp', ...request });
  const ping = JSON.stringify(legacy('ping'));

  it('HT-3, sec-38: listens on the loopback address alone unless told otherwise', () => {
    const { address } = gatehouse.app.getHttpServer().address() as AddressInfo;
    expect(address).toBe('127.0.0.1');
  });

  it('HT-3: every method of the endpoint, in both spellings, wants a token, on every request of a connection', async () => {
    for (const path of ['/mcp', '/mcp/'])
      for (const method of METHODS) {
        const answer = await ask({ path, method });
        expect([path, method, answer.status]).toEqual([path, method, 401]);
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
      }
    const call = (headers: Record<string, string>) =>
      fetch(gatehouse.mcpUrl, { method: 'POST', headers, body: ping }).then(({ status }) => status);
    const { authorization: _, ...without } = GOOD;
    // The same connection is used again: what one request proved says nothing about the next.
    expect([await call(GOOD), await call(without), await call(GOOD)]).toEqual([200, 401, 200]);
  });

  it.each([
    '/mcp/',
    '//mcp',
    '/mcp//',
    '/MCP',
    '/Mcp/',
    '/%6dcp',
    '/mcp%2f',
    '/mcp%00',
    '/mcp;a=b',
    '/mcp.json',
    '/./mcp',
    '/x/../mcp',
    '/mcp/.',
    '/mcp?',
    '/mcp?access_token=x',
    '/mcp#x',
    '/mcp\\',
  ])('sec-43: no spelling of the path passes the guard by: %s', async (path) => {
    const { authorization: _, ...without } = GOOD;
    const answer = await ask({ path, method: 'POST', headers: without, body: ping });
    expect([400, 401, 404]).toContain(answer.status);
    expect(answer.text).not.toContain('"result"');
    for (const method of ['get', 'POST', 'X-POST'])
      expect((await ask({ path, method, headers: without })).status).toBeGreaterThanOrEqual(400);
  });

  it.each([
    '/admin/v1/users',
    '/admin/v1/users/',
    '//admin/v1/users',
    '/ADMIN/v1/users',
    '/admin/%76%31/users',
    '/admin/v1/./users',
    '/admin/v1/x/../users',
  ])('sec-43: nor at the admin API: %s', async (path) => {
    const bare = await ask({ path });
    expect([400, 401, 404]).toContain(bare.status);
    expect(bare.text).not.toContain('"items"');
    const mcp = await ask({ path, headers: { authorization: `Bearer ${TOKEN}` } });
    expect([400, 401, 404]).toContain(mcp.status);
  });

  it('sec-37: Host and Origin are looked at first, then the bearer, the method, the body’s type, its size, its syntax and its depth', async () => {
    const wrong: readonly [number, Partial<WireRequest>][] = [
      [403, { headers: { host: 'evil.example' } }],
      [403, { headers: { origin: 'https://evil.example' } }],
      [401, { headers: { authorization: 'Bearer wrong' } }],
      [405, { method: 'PUT' }],
      [415, { headers: { 'content-type': 'text/plain' } }],
      [413, { headers: { 'content-length': String(4 * 1024 * 1024 + 1) }, unfinished: true }],
    ];
    // Each request has this fault and every later one: the earlier decides.
    for (const [index, [status]] of wrong.entries()) {
      const request = wrong
        .slice(index)
        .reduceRight<Partial<WireRequest>>(
          (all, [, one]) => ({ ...all, ...one, headers: { ...all.headers, ...one.headers } }),
          { method: 'POST', headers: GOOD },
        );
      const { status: got, text } = await ask({ ...request, headers: { ...GOOD, ...request.headers } });
      expect([index, got]).toEqual([index, status]);
      expect(JSON.parse(text)).toMatchObject({ jsonrpc: '2.0', id: null });
    }
    const deep = `${'['.repeat(200)}${']'.repeat(200)}`;
    expect((await ask({ method: 'POST', headers: GOOD, body: `${deep}]` })).text).toContain('-32700');
    expect((await ask({ method: 'POST', headers: GOOD, body: `{"jsonrpc":"1.0","x":${deep}}` })).text).toContain(
      'nests deeper',
    );
    expect((await ask({ method: 'POST', headers: GOOD, body: '{"jsonrpc":"1.0"}' })).text).not.toContain(
      'nests deeper',
    );
  });

  it('sec-37: strangers, foreign pages and refused methods are answered before their body has come', async () => {
    for (const headers of [
      { authorization: 'Bearer wrong' },
      { origin: 'https://evil.example' },
      { 'content-type': 'text/plain' },
    ]) {
      const answer = await ask({
        method: 'POST',
        headers: { ...GOOD, ...headers, 'content-length': '4000000' },
        unfinished: true,
      });
      expect([401, 403, 415]).toContain(answer.status);
    }
  });

  it('sec-37: the limit of a caller is counted before the body is read, and strangers do not use it up', async () => {
    const small = await startGatehouse();
    try {
      const to = small.url;
      const { authorization: _, ...without } = GOOD;
      for (let i = 0; i < 20; i++) await send({ to, path: '/mcp', method: 'POST', headers: without, body: ping });
      const statuses = new Set<number>();
      for (let i = 0; i < 5000 && !statuses.has(429); i++)
        statuses.add((await fetch(small.mcpUrl, { method: 'POST', headers: GOOD, body: ping })).status);
      expect([...statuses]).toEqual([200, 429]);
      const limited = await send({
        to,
        path: '/mcp',
        method: 'POST',
        headers: { ...GOOD, 'content-length': '4000000' },
        unfinished: true,
      });
      expect([limited.status, Number(limited.headers['retry-after']) > 0]).toEqual([429, true]);
    } finally {
      await small.close();
    }
  });

  it.each([
    'evil.example',
    `evil.example:80`,
    '169.254.169.254',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost@evil.example',
  ])('sec-38: the Host "%s" is refused, whoever asks', async (host) => {
    for (const headers of [GOOD, { ...GOOD, authorization: 'Bearer wrong' }]) {
      const answer = await ask({ method: 'POST', headers: { ...headers, host }, body: ping });
      expect([400, 403]).toContain(answer.status);
      expect(answer.headers['www-authenticate']).toBeUndefined();
    }
  });

  it('sec-38: loopback by any name and port is served, and the public host where there is one', async () => {
    for (const host of ['localhost', 'localhost:1', '127.0.0.1', '[::1]', 'LOCALHOST:8000', '127.9.9.9'])
      expect([host, (await ask({ method: 'POST', headers: { ...GOOD, host }, body: ping })).status]).toEqual([
        host,
        200,
      ]);
    const port = await freePort();
    const behind = await startGatehouse({ port, env: { GATEHOUSE_PUBLIC_URL: 'https://mcp.example' } });
    try {
      const at = (host: string) =>
        send({ to: `http://127.0.0.1:${port}`, path: '/mcp', method: 'POST', headers: { ...GOOD, host }, body: ping });
      expect((await at('mcp.example')).status).toBe(200);
      expect((await at('other.example')).status).toBe(403);
    } finally {
      await behind.close();
    }
  });
});

it('RS-8, sec-39: a token in the query, the form or a cookie opens nothing, also beside one in the header', async () => {
  const gatehouse = await startGatehouse();
  try {
    const { url } = gatehouse;
    const json = { 'content-type': 'application/json' };
    for (const request of [
      { path: `/mcp?access_token=${TOKEN}`, headers: json },
      { path: `/mcp?token=${TOKEN}`, headers: json },
      { path: '/mcp', headers: { ...json, cookie: `access_token=${TOKEN}; authorization=Bearer ${TOKEN}` } },
      {
        path: '/mcp',
        headers: { ...json, 'x-authorization': `Bearer ${TOKEN}`, 'proxy-authorization': `Bearer ${TOKEN}` },
      },
      { path: '/mcp', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `access_token=${TOKEN}` },
      { path: `/mcp?access_token=${TOKEN}`, headers: { ...json, authorization: 'Bearer wrong' } },
    ])
      expect((await send({ to: url, method: 'POST', ...request })).status).toBe(401);
  } finally {
    await gatehouse.close();
  }
});

it('I4: each kind of token opens its own place and no other', async () => {
  const house = await startWithGitHub({
    env: { GATEHOUSE_ADMIN_TOKEN: ADMIN, GATEHOUSE_ADMINS: 'github-org:acme', GATEHOUSE_RATE_LIMITS: 'off' },
  });
  try {
    const { url, mcpUrl } = house.gatehouse;
    const client = await TestClient.register(url);
    const mcp = await signIn(client);
    const admin = await signIn(client, { parameters: { resource: `${url}/admin/v1`, scope: 'admin' } });
    const openid = await signIn(client, { parameters: { scope: 'openid mcp' } });
    const fresh = client.browser();
    await fresh.open(client.authorizeUrl({ prompt: 'login' }));
    await fresh.press('provider=github');
    const upstream = house.github.requests.findLast(({ headers }) => headers.authorization)!.headers.authorization!;
    const tokens: Record<string, [string, 'mcp' | 'admin' | 'nothing']> = {
      'an access token for /mcp': [mcp.accessToken, 'mcp'],
      'a refresh token': [mcp.refreshToken, 'nothing'],
      'an access token for /admin': [admin.accessToken, 'admin'],
      'its refresh token': [admin.refreshToken, 'nothing'],
      'an ID token': [String(openid.answer.body['id_token']), 'nothing'],
      'a code': [fresh.stoppedAt.searchParams.get('code')!, 'nothing'],
      'the upstream’s token': [upstream.replace(/^\w+ /, ''), 'nothing'],
      'the admin token': [ADMIN, 'admin'],
      'a client id': [client.id, 'nothing'],
      'a browser’s cookie': [fresh.cookies.find(({ name }) => name === 'gth_browser')!.value, 'nothing'],
    };
    for (const [name, [token, opens]] of Object.entries(tokens)) {
      expect([name, token.length > 8]).toEqual([name, true]);
      const atMcp = (await callTool(mcpUrl, token, 'hello', { name: 'x' })).status;
      const atAdmin = (await fetch(`${url}/admin/v1/users`, { headers: { authorization: `Bearer ${token}` } })).status;
      expect([name, atMcp]).toEqual([name, opens === 'mcp' ? 200 : 401]);
      expect([name, atAdmin]).toEqual([name, opens === 'admin' ? 200 : 401]);
      if (name.includes('refresh token')) continue;
      expect([name, (await client.refresh(token)).body.error]).toEqual([name, 'invalid_grant']);
      if (name === 'a code') continue;
      expect([name, (await client.redeem(token)).body.error]).toEqual([name, 'invalid_grant']);
    }
    expect((await client.redeem(mcp.refreshToken)).body.error).toBe('invalid_grant');
    expect((await client.refresh(mcp.refreshToken)).status).toBe(200);
  } finally {
    await house.close();
  }
});
