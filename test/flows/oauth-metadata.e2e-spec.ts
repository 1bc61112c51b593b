import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGatehouse } from '../gatehouse.js';
import { startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { send } from '../wire.js';

describe('discovery', () => {
  let house: WithGitHub;
  let url: string;
  beforeAll(async () => {
    house = await startWithGitHub();
    url = house.gatehouse.url;
  });
  afterAll(() => house.close());

  it('D1, RS-1, RS-3: protected resource metadata at the root and with the path, the same body, with CORS', async () => {
    const bodies = [];
    for (const path of [
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-protected-resource/mcp',
      '/mcp/.well-known/oauth-protected-resource',
    ]) {
      const answer = await fetch(url + path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.headers.get('content-type')).toContain('application/json');
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      bodies.push(await answer.text());
    }
    expect(new Set(bodies).size).toBe(1);
    expect(JSON.parse(bodies[0]!)).toMatchObject({ resource: `${url}/mcp`, authorization_servers: [url] });
    expect(bodies[0]).not.toContain('offline_access');
  });

  it('D6, AS-2, AS-3: server metadata in every variant, the same facts, issuer byte for byte', async () => {
    const bodies = [];
    for (const document of ['oauth-authorization-server', 'openid-configuration'])
      for (const path of [`/.well-known/${document}`, `/.well-known/${document}/mcp`, `/mcp/.well-known/${document}`]) {
        const answer = await fetch(url + path);
        expect([path, answer.status]).toEqual([path, 200]);
        bodies.push(await answer.text());
      }
    expect(new Set(bodies).size).toBe(1);
    const document = JSON.parse(bodies[0]!) as Record<string, unknown>;
    expect(document['issuer']).toBe(url);
    expect(document['code_challenge_methods_supported']).toEqual(['S256']);
    expect(document['authorization_response_iss_parameter_supported']).toBe(true);
  });

  it('D6: unknown well-knowns are 404 JSON, readable by scripts', async () => {
    const answer = await fetch(`${url}/.well-known/unknown`);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    await answer.json();
  });

  it('X1: preflights are answered before anything else, on exactly the public endpoints', async () => {
    for (const path of [
      '/token',
      '/register',
      '/revoke',
      '/introspect',
      '/jwks',
      '/.well-known/oauth-authorization-server',
      '/.well-known/oauth-protected-resource/mcp',
    ]) {
      const answer = await fetch(url + path, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://app.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type, mcp-protocol-version',
        },
      });
      expect([path, answer.status]).toEqual([path, 204]);
      expect(answer.headers.get('access-control-allow-headers')).toContain('MCP-Protocol-Version');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
    const refused = await fetch(`${url}/token`, {
      method: 'POST',
      headers: { origin: 'https://app.example' },
      body: new URLSearchParams({ client_id: 'x' }),
    });
    expect(refused.headers.get('access-control-allow-origin')).toBe('*');
    expect(refused.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate');
    for (const path of ['/authorize', '/par', '/login/x', '/consent/x', '/callback/github']) {
      const answer = await fetch(url + path, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': 'GET' },
      });
      expect([path, answer.headers.get('access-control-allow-origin')]).toEqual([path, null]);
    }
  });

  it('sec-45, D4: Host and X-Forwarded-* change nothing in any answer', async () => {
    const client = await TestClient.register(url);
    const poison = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '203.0.113.9',
      forwarded: 'host=evil.example;proto=https',
    };
    const authorize = client.authorizeUrl();
    const bad = client.authorizeUrl({ code_challenge: undefined });
    for (const target of [
      `${url}/.well-known/oauth-protected-resource/mcp`,
      `${url}/.well-known/oauth-authorization-server`,
      `${url}/.well-known/openid-configuration`,
      `${url}/jwks`,
      authorize.href,
      bad.href,
      `${url}/authorize?client_id=nobody`,
    ]) {
      const answer = await send({ to: url, path: target.slice(url.length), headers: poison });
      const said = answer.text + JSON.stringify(answer.headers);
      expect(said).not.toContain('evil.example');
      expect(said).not.toContain('https://localhost');
    }
    const answer = await send({ to: url, path: bad.href.slice(url.length), headers: poison });
    expect(new URL(String(answer.headers['location'])).searchParams.get('iss')).toBe(url);
  });

  it('the signing keys are public keys only', async () => {
    const { keys } = (await (await fetch(`${url}/jwks`)).json()) as { keys: Record<string, unknown>[] };
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key).not.toHaveProperty('d');
  });
});

describe('where there is nothing to discover', () => {
  it('D7: GATEHOUSE_DISCOVERY=off hides every document, and sign-in still works by configuration', async () => {
    const house = await startWithGitHub({ env: { GATEHOUSE_DISCOVERY: 'off' } });
    try {
      for (const path of [
        'oauth-protected-resource',
        'oauth-protected-resource/mcp',
        'oauth-authorization-server',
        'openid-configuration',
      ])
        expect((await fetch(`${house.gatehouse.url}/.well-known/${path}`)).status).toBe(404);
      const challenge = await fetch(house.gatehouse.mcpUrl, { method: 'POST' });
      expect(challenge.headers.get('www-authenticate')).not.toContain('resource_metadata');
    } finally {
      await house.close();
    }
  });

  it('with static tokens alone there is no authorization server', async () => {
    const house = await startGatehouse();
    try {
      for (const path of [
        '/.well-known/oauth-protected-resource',
        '/.well-known/oauth-authorization-server',
        '/authorize',
        '/jwks',
      ])
        expect([path, (await fetch(house.url + path)).status]).toEqual([path, 404]);
    } finally {
      await house.close();
    }
  });
});
