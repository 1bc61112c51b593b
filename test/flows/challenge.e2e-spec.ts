import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Injectable } from '@nestjs/common';
import { Tool } from '../../src/index.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { accessClaims } from '../../src/testing/foreign-tokens.js';
import { freePort, startGatehouse } from '../gatehouse.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

@Injectable()
class NoteTools {
  @Tool({ description: 'Writes', scopes: ['notes:write'] })
  writeNote(): string {
    return 'written';
  }
}

/** The parameters of the one challenge in an answer. */
function challengeOf(response: Response): Record<string, string> {
  const header = response.headers.get('www-authenticate') ?? '';
  expect(header).toMatch(/^Bearer /);
  return Object.fromEntries([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
}

describe('what a refused client learns', () => {
  let house: WithGitHub;
  let client: TestClient;

  beforeAll(async () => {
    house = await startWithGitHub({
      tools: [NoteTools],
      env: { GATEHOUSE_REQUIRED_SCOPES: 'mcp', GATEHOUSE_DEFAULT_SCOPES: 'mcp', GATEHOUSE_ACCESS_TOKEN_TTL: '15m' },
    });
    client = await TestClient.register(house.gatehouse.url);
  });
  afterAll(() => house.close());

  it('RS-2: a 401 names the metadata of the resource, at the very address that answers it, and the well-known paths answer without it', async () => {
    const { mcpUrl, url } = house.gatehouse;
    const refused = await callTool(mcpUrl, null, 'hello');
    expect(refused.status).toBe(401);
    const { resource_metadata: address } = challengeOf(refused);
    expect(address).toBe(`${url}/.well-known/oauth-protected-resource/mcp`);
    const named = await fetch(address!);
    expect(named.status).toBe(200);
    const document = (await named.json()) as { resource: string; authorization_servers: string[] };
    expect(document.resource).toBe(mcpUrl);
    const server = await fetch(`${document.authorization_servers[0]}/.well-known/oauth-authorization-server`);
    expect(await server.json()).toHaveProperty('issuer', document.authorization_servers[0]);
    const bad = await callTool(mcpUrl, 'gth_at_wrong', 'hello');
    expect(challengeOf(bad)).toMatchObject({ error: 'invalid_token', resource_metadata: address });
  });

  it('RS-5: the challenge of a 401 says which scopes are needed now, and that of a tool which it needs besides', async () => {
    const { mcpUrl } = house.gatehouse;
    expect(challengeOf(await callTool(mcpUrl, null, 'hello'))).toMatchObject({ scope: 'mcp' });
    expect(challengeOf(await callTool(mcpUrl, 'gth_at_wrong', 'hello'))).toMatchObject({ scope: 'mcp' });
    const { accessToken } = await signIn(client, { parameters: { scope: 'mcp' } });
    const narrow = await callTool(mcpUrl, accessToken, 'writeNote');
    expect(narrow.status).toBe(403);
    expect(challengeOf(narrow)['scope']?.split(' ').toSorted()).toEqual(['mcp', 'notes:write']);
  });

  it('RS-6: the resource offers the minimal scopes, and a client that asks for all of them is asked to allow no tool’s own', async () => {
    const metadata = await fetch(`${house.gatehouse.url}/.well-known/oauth-protected-resource/mcp`);
    const { scopes_supported: scopes } = (await metadata.json()) as { scopes_supported: string[] };
    expect(scopes).toEqual(['mcp']);
    const server = await fetch(`${house.gatehouse.url}/.well-known/oauth-authorization-server`);
    expect(((await server.json()) as { scopes_supported: string[] }).scopes_supported).toContain('notes:write');
    const { answer } = await signIn(client, { parameters: { scope: scopes.join(' ') } });
    expect(answer.body.scope).toBe('mcp');
  });

  it('RS-7: no challenge and no document mentions offline_access, also when the client asked for it', async () => {
    const { mcpUrl, url } = house.gatehouse;
    const { accessToken } = await signIn(client, { parameters: { scope: 'mcp offline_access' } });
    const said = [
      (await callTool(mcpUrl, null, 'hello')).headers.get('www-authenticate'),
      (await callTool(mcpUrl, 'gth_at_wrong', 'hello')).headers.get('www-authenticate'),
      (await callTool(mcpUrl, accessToken, 'writeNote')).headers.get('www-authenticate'),
      ...(await Promise.all(
        [
          'oauth-protected-resource',
          'oauth-protected-resource/mcp',
          'oauth-authorization-server',
          'openid-configuration',
        ].map(async (path) => (await fetch(`${url}/.well-known/${path}`)).text()),
      )),
    ];
    for (const text of said) {
      expect(text).toContain('mcp');
      expect(text).not.toContain('offline_access');
    }
  });

  it('AS-15: an access token says how soon it ends, and after that it is an invalid one', async () => {
    const { answer, accessToken } = await signIn(client);
    expect(answer.body['expires_in']).toBe(900);
    const database = house.gatehouse.app.get(Database);
    const ended = await database.rows<{ expires_at: number | string }>(
      sql`SELECT expires_at FROM oauth_token WHERE kind = ${'AccessToken'} ORDER BY expires_at DESC LIMIT 1`,
    );
    expect(Number(ended[0]?.expires_at) - Date.now() / 1000).toBeLessThanOrEqual(900);
    // Long enough ago that no leeway between clocks excuses it.
    await database.commit([sql`UPDATE oauth_token SET expires_at = expires_at - 1000 WHERE kind = ${'AccessToken'}`]);
    const late = await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' });
    expect(late.status).toBe(401);
    expect(challengeOf(late)).toMatchObject({ error: 'invalid_token' });
  });

  it('AS-15: unless told otherwise access tokens live for an hour', async () => {
    const usual = await startWithGitHub();
    try {
      const { answer } = await signIn(await TestClient.register(usual.gatehouse.url));
      expect(answer.body['expires_in']).toBe(3600);
    } finally {
      await usual.close();
    }
  });
});

describe('tokens of a trusted issuer', () => {
  it('RS-10, I4: one made for another server is refused, and one for ours among others is taken', async () => {
    const issuer = await new FakeOidc().listen();
    const port = await freePort();
    const gatehouse = await startGatehouse({
      port,
      env: {
        GATEHOUSE_PROVIDERS: 'partner:jwt',
        GATEHOUSE_PARTNER_JWKS_URI: `${issuer.origin}/jwks`,
        GATEHOUSE_PARTNER_ISSUER: issuer.issuer,
        GATEHOUSE_PARTNER_AUDIENCE: `http://localhost:${port}/mcp`,
      },
    });
    try {
      const statusFor = async (aud: unknown): Promise<number> => {
        const token = await issuer.sign({ ...accessClaims(issuer, gatehouse.mcpUrl), aud });
        return (await callTool(gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status;
      };
      for (const aud of [
        'https://other.example/mcp',
        gatehouse.url,
        `${gatehouse.mcpUrl}/`,
        `${gatehouse.mcpUrl}.evil.example`,
        ['https://other.example/mcp'],
        [],
        undefined,
      ])
        expect([aud, await statusFor(aud)]).toEqual([aud, 401]);
      expect(await statusFor(gatehouse.mcpUrl)).toBe(200);
      expect(await statusFor(['https://other.example/mcp', gatehouse.mcpUrl])).toBe(200);
    } finally {
      await gatehouse.close();
      await issuer.close();
    }
  });
});
