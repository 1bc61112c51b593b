import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { octocat } from '../../src/testing/fake-github.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, etagOf, everything, firstOf, refusal, statusOf, unfit } from '../admin-client.js';
import type { UserChange } from '../admin-api/types.gen.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
/** An id that nothing has: the guard decides before anything is looked up. */
const NOTHING = { id: 'nothing' };

describe.each(databases())('who may use the admin API, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let administration: Administration;
  let admin: AdminApi;
  /** Bearer values by who holds them; null: no header. */
  const tokens = new Map<string, string | null>();

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_ADMINS: 'email:boss@github.example',
        GATEHOUSE_RATE_LIMITS: 'off',
      },
    });
    administration = await Administration.of(house.gatehouse.url, ADMIN);
    admin = administration.api;
    const client = await TestClient.register(house.gatehouse.url);
    const resource = `${house.gatehouse.url}/admin/v1`;
    const tokenOf = async (email: string, parameters: Record<string, string>): Promise<string> => {
      house.github.person = {
        ...octocat(),
        id: email.length,
        emails: [{ email, primary: true, verified: true, visibility: null }],
      };
      return (await signIn(client, { parameters })).accessToken;
    };
    tokens.set('nobody', null);
    tokens.set('a user', await tokenOf('someone@github.example', { resource, scope: 'admin' }));
    tokens.set('an admin with a token for /mcp', await tokenOf('boss@github.example', { scope: 'mcp' }));
    tokens.set('an admin', await tokenOf('boss@github.example', { resource, scope: 'admin' }));
    // A refresh may ask for less than was granted (RFC 6749 §6).
    const wide = await signIn(client, { parameters: { resource, scope: 'admin openid' } });
    const narrow = await client.refresh(wide.refreshToken, { scope: 'openid' });
    tokens.set('an admin without the scope', narrow.body.access_token ?? JSON.stringify(narrow.body));
    tokens.set('the admin token', ADMIN);
    tokens.set('a wrong token', `${ADMIN}x`);
    const body = await done(admin.createToken({ body: { name: 'pat', scopes: ['admin'] } }));
    tokens.set('a personal token', body.token);
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  const expected: readonly [string, number | 'let in'][] = [
    ['nobody', 401],
    ['a wrong token', 401],
    ['a personal token', 401],
    ['an admin with a token for /mcp', 401],
    ['a user', 403],
    ['an admin without the scope', 403],
    ['an admin', 'let in'],
    ['the admin token', 'let in'],
  ];

  it.each(expected)('sec-44: %s gets %s on every route', async (who, outcome) => {
    const token = tokens.get(who)!;
    const { api, operations } = administration.as(token);
    for (const { operationId } of operations) {
      // With no body, no If-Match and no such id, whoever is let in changes nothing but the keys.
      if (operationId === 'rotateKeys' && outcome === 'let in') continue;
      const { error, response } = await api[operationId](unfit({ path: NOTHING }));
      const { status, headers } = response;
      if (outcome === 'let in') expect([200, 400, 404, 415], operationId).toContain(status);
      else {
        expect(status, operationId).toBe(outcome);
        expect(error).toMatchObject({ status: outcome, title: expect.any(String), detail: expect.any(String) });
        const challenge = headers.get('www-authenticate')!;
        expect(challenge).toMatch(/^Bearer/);
        expect(challenge.includes('error=')).toBe(who !== 'nobody');
        if (outcome === 403) expect(challenge).toContain('error="insufficient_scope"');
      }
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('sec-44: a token for the admin API opens nothing at /mcp', async () => {
    for (const who of ['an admin', 'an admin without the scope', 'the admin token'])
      expect((await callTool(house.gatehouse.mcpUrl, tokens.get(who)!, 'whoami')).status, who).toBe(401);
    expect(
      (await callTool(house.gatehouse.mcpUrl, tokens.get('an admin with a token for /mcp')!, 'whoami')).status,
    ).toBe(200);
  });

  it('what is no operation is a problem too: 401 for strangers, 404, and 405 with Allow', async () => {
    const ask = (method: string, path: string, token: string | null): Promise<Response> =>
      fetch(`${house.gatehouse.url}${path}`, {
        method,
        headers: token === null ? {} : { authorization: `Bearer ${token}` },
      });
    expect((await ask('GET', '/admin/v1/secrets', null)).status).toBe(401);
    expect((await ask('GET', '/admin/v1', ADMIN)).status).toBe(404);
    const unknown = await ask('GET', '/admin/v1/secrets', ADMIN);
    expect([unknown.status, unknown.headers.get('content-type')!.split(';')[0]]).toEqual([
      404,
      'application/problem+json',
    ]);
    const wrong = await ask('PUT', '/admin/v1/users/x', ADMIN);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, PATCH, DELETE, HEAD']);
    const preflight = await fetch(`${house.gatehouse.url}/admin/v1/users`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect((await ask('HEAD', '/admin/v1/users', ADMIN)).status).toBe(200);
  });

  it('an admin acts under their own name, and loses the API with the role and with the block', async () => {
    const token = tokens.get('an admin')!;
    const boss = await firstOf(admin.listUsers({ query: { role: 'admin' } }));
    const { api: asBoss } = administration.as(token);
    const body = await done(asBoss.createToken({ body: { name: 'by boss' } }));
    const event = await firstOf(admin.listEvents({ query: { type: 'personal-token.created', actor: boss.id } }));
    expect(event).toMatchObject({ actor: boss.id, detail: { token: body.id } });
    const change = async (body: UserChange): Promise<void> => {
      const path = { id: boss.id };
      const ifMatch = await etagOf(admin.getUser({ path }));
      await done(admin.changeUser({ path, headers: { 'If-Match': ifMatch }, body }));
    };
    await change({ roles: [] });
    expect(await statusOf(asBoss.listUsers())).toBe(403);
    await change({ roles: ['admin'] });
    expect(await statusOf(asBoss.listUsers())).toBe(200);
    await change({ status: 'blocked' });
    expect(await statusOf(asBoss.listUsers())).toBe(401);
    await change({ status: 'active' });
    expect(await statusOf(asBoss.listUsers())).toBe(401);
  });

  it('refusals are recorded without the token that was tried', async () => {
    const events = await everything((at) => admin.listEvents({ query: { type: 'admin.refused', limit: 200, ...at } }));
    expect(events.length).toBeGreaterThan(50);
    expect(events[0]).toMatchObject({ outcome: 'refused', ip: '127.0.0.1', detail: { route: expect.any(String) } });
    const text = JSON.stringify(events);
    for (const token of tokens.values()) if (token !== null) expect(text).not.toContain(token);
  });
});

describe('refused attempts at the admin API', () => {
  it('are limited by address: after twenty even the right token waits', async () => {
    const house = await startWithGitHub({ env: { GATEHOUSE_ADMIN_TOKEN: ADMIN } });
    try {
      const admin = await Administration.of(house.gatehouse.url, ADMIN);
      for (let i = 0; i < 20; i++) expect(await statusOf(admin.as(`guess-${i}`).api.getStats())).toBe(401);
      const { problem, headers } = await refusal(admin.api.getStats());
      expect(problem.status).toBe(429);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    } finally {
      await house.close();
    }
  });
});
