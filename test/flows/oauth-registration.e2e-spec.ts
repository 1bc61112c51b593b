import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

/** What the named clients have been seen to send. */
const REAL: Record<string, Record<string, unknown>> = {
  'claude.ai': {
    client_name: 'Claude',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    scope: 'mcp',
    redirect_uris: ['https://claude.ai/api/mcp/auth_callback'],
  },
  'Claude Code': {
    client_name: 'Claude Code (gatehouse)',
    redirect_uris: ['http://localhost:54212/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  ChatGPT: {
    client_name: 'ChatGPT',
    redirect_uris: ['https://chatgpt.com/connector_platform_oauth_redirect'],
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    application_type: 'web',
  },
  Cursor: {
    client_name: 'Cursor',
    redirect_uris: [
      'cursor://anysphere.cursor-mcp/oauth/callback',
      'https://www.cursor.com/agents/mcp/oauth/callback',
      'http://localhost:8787/callback',
    ],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'web',
  },
  'VS Code': {
    client_name: 'Visual Studio Code',
    client_uri: 'https://code.visualstudio.com',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    redirect_uris: [
      'https://insiders.vscode.dev/redirect',
      'https://vscode.dev/redirect',
      'http://127.0.0.1/',
      'http://127.0.0.1:33418/',
    ],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  Codex: {
    client_name: 'Codex',
    redirect_uris: ['http://127.0.0.1:45123/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    response_types: ['code'],
  },
  'Gemini CLI': {
    client_name: 'Gemini CLI MCP Client',
    redirect_uris: ['http://localhost:7777/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    code_challenge_method: ['S256'],
    scope: '',
  },
  'mcp-remote': {
    redirect_uris: ['http://127.0.0.1:3334/oauth/callback'],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    client_name: 'MCP CLI Proxy',
    client_uri: 'https://github.com/modelcontextprotocol/mcp-cli',
    software_id: '2e6dc280-f3c3-4e01-99a7-8181dbd1d23d',
    software_version: '0.1.29',
  },
  'MCP Inspector': {
    redirect_uris: ['http://localhost:6274/oauth/callback'],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    client_name: 'MCP Inspector',
    client_uri: 'https://github.com/modelcontextprotocol/inspector',
    scope: 'offline_access mcp',
  },
  Goose: {
    client_name: 'goose',
    redirect_uris: ['http://localhost:41234/oauth_callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    logo_uri: null,
    contacts: [],
  },
  'Copilot CLI': {
    client_name: 'GitHub Copilot CLI',
    redirect_uris: ['http://127.0.0.1:38121/'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    client_uri: '',
  },
};

const HOSTILE = [
  'javascript:alert(1)',
  'JAVASCRIPT:alert(1)',
  'data:text/html,<script>1</script>',
  'file:///etc/passwd',
  'http://evil.example/cb',
  'http://localhost.evil.example/cb',
  'https://good.example@evil.example/cb',
  'https://evil.example/cb#x',
  'https://evil.example/a/../cb',
  'https://0x7f.1/cb',
  'https://*.example/cb',
  'https://exämple.com/cb',
  'https://evil.example/cb?code=1',
  '/relative',
];

async function register(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

describe('dynamic client registration', () => {
  let house: WithGitHub;
  let url: string;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
  });
  afterAll(() => house.close());

  it.each(Object.keys(REAL))(
    'R1, R2, AS-10: accepts what %s sends, and its redirect URIs work at /authorize',
    async (name) => {
      const metadata = REAL[name]!;
      const { status, body } = await register(url, metadata);
      expect(status).toBe(201);
      expect(body['redirect_uris']).toEqual(metadata['redirect_uris']);
      expect(body['grant_types']).toEqual(['authorization_code', 'refresh_token']);
      expect(body['token_endpoint_auth_method']).toBe(metadata['token_endpoint_auth_method']);
      expect(Object.values(body)).not.toContain('');
      expect(Object.values(body)).not.toContain(null);
      expect('client_secret' in body).toBe(metadata['token_endpoint_auth_method'] !== 'none');
      for (const redirectUri of metadata['redirect_uris'] as string[]) {
        const client = TestClient.known(url, String(body['client_id']), redirectUri);
        const answer = await fetch(client.authorizeUrl(), { redirect: 'manual' });
        expect([answer.status, answer.headers.get('location')]).toEqual([303, expect.stringMatching(/^\/login\//)]);
      }
    },
  );

  it.each(HOSTILE)('sec-2: refuses %s', async (uri) => {
    const { status, body, headers } = await register(url, { redirect_uris: ['https://fine.example/cb', uri] });
    expect(status).toBe(400);
    expect(body['error']).toBe('invalid_redirect_uri');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('R1: one unfamiliar scheme does not refuse the registration, but it cannot be used', async () => {
    const { status, body } = await register(url, { redirect_uris: ['made-up-scheme://cb', 'http://localhost/cb'] });
    expect(status).toBe(201);
    const id = String(body['client_id']);
    const odd = await fetch(TestClient.known(url, id, 'made-up-scheme://cb').authorizeUrl(), { redirect: 'manual' });
    expect(odd.status).toBe(400);
    const fine = await fetch(TestClient.known(url, id, 'http://localhost:4000/cb').authorizeUrl(), {
      redirect: 'manual',
    });
    expect(fine.status).toBe(303);
  });

  it('sec-20: the server chooses id, secret and status, whatever the body says', async () => {
    const { body } = await register(url, {
      redirect_uris: ['https://mass.example/cb'],
      client_id: 'mine',
      client_secret: 'mine',
      status: 'active',
      trusted: true,
      gatehouse_trusted: true,
      source: 'manual',
      token_endpoint_auth_method: 'client_secret_basic',
    });
    expect(body['client_id']).not.toBe('mine');
    expect(body['client_secret']).not.toBe('mine');
    expect(body['client_secret_expires_at']).toBe(0);
    for (const member of ['status', 'trusted', 'gatehouse_trusted', 'source']) expect(body).not.toHaveProperty(member);
  });

  it('R4: the same public metadata gets the same client, a client with a secret a new one', async () => {
    const metadata = {
      client_name: 'Twice',
      redirect_uris: ['http://localhost/twice'],
      token_endpoint_auth_method: 'none',
    };
    const [first, second] = [await register(url, metadata), await register(url, { ...metadata, scope: 'other' })];
    expect(second.body['client_id']).toBe(first.body['client_id']);
    const parallel = await Promise.all(
      Array.from({ length: 8 }, () => register(url, { ...metadata, client_name: 'At once' })),
    );
    expect(new Set(parallel.map(({ body }) => body['client_id'])).size).toBe(1);
    expect(parallel.every(({ status }) => status === 201)).toBe(true);
    const secret = { ...metadata, token_endpoint_auth_method: 'client_secret_post' };
    const [third, fourth] = [await register(url, secret), await register(url, secret)];
    expect(third.body['client_id']).not.toBe(fourth.body['client_id']);
  });

  it.each([
    ['not JSON', '{', 400],
    ['an array', '[]', 400],
    ['null', 'null', 400],
    ['a number', '1', 400],
    ['more than 64 KiB', JSON.stringify({ redirect_uris: ['https://a.example/cb'], x: 'x'.repeat(70_000) }), 413],
  ])('T2: %s is RFC 7591 JSON with no-store', async (_, body, status) => {
    const answer = await register(url, body);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatchObject({ error: expect.any(String), error_description: expect.any(String) });
    expect(JSON.stringify(answer.body)).not.toContain('node_modules');
  });

  it('sec-23: a wrong or malformed content type is 400', async () => {
    for (const type of ['text/plain', 'nonsense', 'application/x-www-form-urlencoded', ';;;'])
      expect((await register(url, '{}', { 'content-type': type })).status).toBe(400);
  });

  it('another method is 405 with Allow and JSON', async () => {
    for (const path of ['/register', '/token', '/revoke', '/introspect', '/par']) {
      const answer = await fetch(url + path);
      expect([path, answer.status, answer.headers.get('allow')]).toEqual([path, 405, 'POST']);
      expect(await answer.json()).toHaveProperty('error', 'invalid_request');
    }
  });
});

describe('limits and policies of registration', () => {
  const metadata = (name: string) => ({ client_name: name, redirect_uris: ['http://localhost/cb'] });

  it('R4: more than 60 a minute from one address are 429 with Retry-After, as OAuth JSON', async () => {
    const house = await startWithGitHub();
    try {
      const answers = await Promise.all(
        Array.from({ length: 70 }, (_, i) => register(house.gatehouse.url, metadata(`c${i}`))),
      );
      const refused = answers.filter(({ status }) => status === 429);
      expect(refused).toHaveLength(10);
      expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(refused[0]!.body).toHaveProperty('error', 'temporarily_unavailable');
    } finally {
      await house.close();
    }
  });

  it('closed: nobody registers, and metadata does not offer it', async () => {
    const house = await startWithGitHub({ env: { GATEHOUSE_REGISTRATION: 'closed' } });
    try {
      const answer = await register(house.gatehouse.url, metadata('c'));
      expect(answer.status).toBe(403);
      const document = await fetch(`${house.gatehouse.url}/.well-known/oauth-authorization-server`);
      expect(await document.json()).not.toHaveProperty('registration_endpoint');
    } finally {
      await house.close();
    }
  });

  it('approval: a new client waits at the sign-in page', async () => {
    const house = await startWithGitHub({ env: { GATEHOUSE_REGISTRATION: 'approval' } });
    try {
      const client = await TestClient.register(house.gatehouse.url);
      const page = await client.browser().open(client.authorizeUrl());
      expect(page.status).toBe(403);
      expect(page.text).toContain('Waiting for an administrator');
    } finally {
      await house.close();
    }
  });
});
