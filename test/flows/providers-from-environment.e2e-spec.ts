import { generateKeyPairSync } from 'node:crypto';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import { readEnvironment } from '../../src/config/environment.js';
import { defineProvider, GatehouseModule, type LoginProvider, type Principal } from '../../src/index.js';
import { createApp } from '../../src/create-app.js';
import { providerKinds } from '../../src/providers/providers.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { AUTHKIT_PATHS } from '../../src/testing/fake-oidc-paths.js';
import { accessClaims } from '../../src/testing/foreign-tokens.js';
import { freePort, startGatehouse } from '../gatehouse.js';
import { callTool } from '../oauth-client.js';

type Env = Record<string, string>;

const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .publicKey.export({ type: 'spki', format: 'pem' })
  .toString();
const SECRET = 'a-secret-of-at-least-thirty-two-characters';

/** Every row of the contract's provider table: what boots, and what each variable's absence or contradiction is called. */
const ROWS: Record<string, { good: Env; mandatory: string[]; contradictory?: [string, Env, string][] }> = {
  github: {
    good: { GATEHOUSE_GITHUB_CLIENT_ID: 'a', GATEHOUSE_GITHUB_CLIENT_SECRET: 'b' },
    mandatory: ['GATEHOUSE_GITHUB_CLIENT_ID', 'GATEHOUSE_GITHUB_CLIENT_SECRET'],
    contradictory: [
      ['a base that is no URL', { GATEHOUSE_GITHUB_BASE_URL: 'github' }, 'GATEHOUSE_GITHUB_BASE_URL'],
      ['an API that is no URL', { GATEHOUSE_GITHUB_API_URL: 'ftp://api' }, 'GATEHOUSE_GITHUB_API_URL'],
      ['a base over http', { GATEHOUSE_GITHUB_BASE_URL: 'http://gh.acme.example' }, 'GATEHOUSE_GITHUB_BASE_URL'],
      ['an API over http', { GATEHOUSE_GITHUB_API_URL: 'http://api.acme.example' }, 'GATEHOUSE_GITHUB_API_URL'],
    ],
  },
  google: {
    good: {
      GATEHOUSE_GOOGLE_CLIENT_ID: 'a',
      GATEHOUSE_GOOGLE_CLIENT_SECRET: 'b',
      GATEHOUSE_GOOGLE_SCOPES: 'openid email',
    },
    mandatory: ['GATEHOUSE_GOOGLE_CLIENT_ID', 'GATEHOUSE_GOOGLE_CLIENT_SECRET'],
    contradictory: [
      [
        'sign-in over http',
        { GATEHOUSE_GOOGLE_AUTHORIZATION_URL: 'http://g.example/auth' },
        'GATEHOUSE_GOOGLE_AUTHORIZATION_URL',
      ],
      ['tokens over http', { GATEHOUSE_GOOGLE_TOKEN_URL: 'http://g.example/token' }, 'GATEHOUSE_GOOGLE_TOKEN_URL'],
      [
        'a profile over http',
        { GATEHOUSE_GOOGLE_USERINFO_URL: 'http://g.example/userinfo' },
        'GATEHOUSE_GOOGLE_USERINFO_URL',
      ],
      ['a Google+ URL', { GATEHOUSE_GOOGLE_USERINFO_URL: 'https://g.example/people' }, 'GATEHOUSE_GOOGLE_USERINFO_URL'],
    ],
  },
  workos: {
    good: {
      GATEHOUSE_WORKOS_AUTHKIT_DOMAIN: 'https://x.authkit.app',
      GATEHOUSE_WORKOS_CLIENT_ID: 'a',
      GATEHOUSE_WORKOS_CLIENT_SECRET: 'b',
    },
    mandatory: ['GATEHOUSE_WORKOS_AUTHKIT_DOMAIN', 'GATEHOUSE_WORKOS_CLIENT_ID', 'GATEHOUSE_WORKOS_CLIENT_SECRET'],
    contradictory: [
      [
        'a domain with a path',
        { GATEHOUSE_WORKOS_AUTHKIT_DOMAIN: 'https://x.authkit.app/y' },
        'GATEHOUSE_WORKOS_AUTHKIT_DOMAIN',
      ],
    ],
  },
  oidc: {
    good: {
      GATEHOUSE_OIDC_ISSUER: 'https://idp.example/realms/a',
      GATEHOUSE_OIDC_CLIENT_ID: 'a',
      GATEHOUSE_OIDC_LABEL: 'Acme',
    },
    mandatory: ['GATEHOUSE_OIDC_ISSUER', 'GATEHOUSE_OIDC_CLIENT_ID'],
    contradictory: [
      ['an issuer over http', { GATEHOUSE_OIDC_ISSUER: 'http://idp.example' }, 'GATEHOUSE_OIDC_ISSUER'],
      ['scopes without openid', { GATEHOUSE_OIDC_SCOPES: 'email' }, 'GATEHOUSE_OIDC_SCOPES'],
    ],
  },
  'static-token': {
    good: {
      GATEHOUSE_STATIC_TOKEN_TOKENS: '{"dev-token-123":{"client_id":"c","scopes":["basic"],"expires_at":1893456000}}',
    },
    mandatory: [],
    contradictory: [['no JSON', { GATEHOUSE_STATIC_TOKEN_TOKENS: 'dev-token-123' }, 'GATEHOUSE_STATIC_TOKEN_TOKENS']],
  },
  jwt: {
    good: {
      GATEHOUSE_JWT_JWKS_URI: 'https://as.example/jwks',
      GATEHOUSE_JWT_ISSUER: 'https://as.example,https://b.example',
    },
    mandatory: ['GATEHOUSE_JWT_JWKS_URI', 'GATEHOUSE_JWT_ISSUER'],
    contradictory: [
      ['a JWKS and a secret', { GATEHOUSE_JWT_SECRET: SECRET }, 'GATEHOUSE_JWT_SECRET'],
      ['a JWKS and a key', { GATEHOUSE_JWT_PUBLIC_KEY: PEM }, 'GATEHOUSE_JWT_PUBLIC_KEY'],
      ['HS256 with a JWKS', { GATEHOUSE_JWT_ALGORITHMS: 'HS256' }, 'GATEHOUSE_JWT_ALGORITHMS'],
      ['an algorithm that is none', { GATEHOUSE_JWT_ALGORITHMS: 'none' }, 'GATEHOUSE_JWT_ALGORITHMS'],
      ['a server that is no URL', { GATEHOUSE_JWT_AUTHORIZATION_SERVERS: 'as' }, 'GATEHOUSE_JWT_AUTHORIZATION_SERVERS'],
    ],
  },
  introspection: {
    good: {
      GATEHOUSE_INTROSPECTION_URL: 'https://as.example/introspect',
      GATEHOUSE_INTROSPECTION_CLIENT_ID: 'a',
      GATEHOUSE_INTROSPECTION_CLIENT_SECRET: 'b',
    },
    mandatory: [
      'GATEHOUSE_INTROSPECTION_URL',
      'GATEHOUSE_INTROSPECTION_CLIENT_ID',
      'GATEHOUSE_INTROSPECTION_CLIENT_SECRET',
    ],
    contradictory: [
      ['a long cache', { GATEHOUSE_INTROSPECTION_CACHE_TTL: '61s' }, 'GATEHOUSE_INTROSPECTION_CACHE_TTL'],
      ['an unknown method', { GATEHOUSE_INTROSPECTION_AUTH_METHOD: 'basic' }, 'GATEHOUSE_INTROSPECTION_AUTH_METHOD'],
    ],
  },
  authkit: {
    good: { GATEHOUSE_AUTHKIT_AUTHKIT_DOMAIN: 'https://x.authkit.app' },
    mandatory: ['GATEHOUSE_AUTHKIT_AUTHKIT_DOMAIN'],
  },
  remote: {
    good: { GATEHOUSE_REMOTE_ISSUER: 'https://as.example' },
    mandatory: ['GATEHOUSE_REMOTE_ISSUER'],
    contradictory: [
      [
        'half an introspection client',
        { GATEHOUSE_REMOTE_INTROSPECTION_CLIENT_ID: 'a' },
        'GATEHOUSE_REMOTE_INTROSPECTION_CLIENT_SECRET',
      ],
      [
        'the other half',
        { GATEHOUSE_REMOTE_INTROSPECTION_CLIENT_SECRET: 'a' },
        'GATEHOUSE_REMOTE_INTROSPECTION_CLIENT_ID',
      ],
    ],
  },
};

const read = (env: Env) => readEnvironment(env, { cwd: '/nonexistent', kinds: providerKinds });

function faultsOf(env: Env): readonly string[] {
  try {
    read(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
}

describe('providers from environment variables alone', () => {
  it('the table has a row for every kind', () => {
    expect(Object.keys(ROWS)).toEqual(providerKinds.map(({ kind }) => kind));
  });

  it.each(Object.entries(ROWS))(
    '%s boots, as itself and as a second instance, and answers strangers with 401',
    async (kind, { good }) => {
      const prefix = `GATEHOUSE_${kind.toUpperCase().replaceAll('-', '_')}_`;
      const second = Object.entries(good).map(([name, value]) => [
        name.replace(prefix, 'GATEHOUSE_SECOND_ONE_'),
        value,
      ]);
      const env = { GATEHOUSE_PROVIDERS: `${kind},second-one:${kind}`, ...good, ...Object.fromEntries(second) };
      const gatehouse = await startGatehouse({ env });
      expect((await callTool(gatehouse.mcpUrl, null, 'hello', { name: 'x' })).status).toBe(401);
      await gatehouse.close();
    },
  );

  const missing = Object.entries(ROWS).flatMap(([kind, { mandatory }]) =>
    mandatory.map((name): [string, string] => [kind, name]),
  );
  it.each(missing)('%s without %s is refused by name', (kind, name) => {
    const env = { GATEHOUSE_PROVIDERS: kind, ...ROWS[kind]!.good };
    delete (env as Env)[name];
    expect(faultsOf(env).join('\n')).toContain(`${name}:`);
  });

  const wrong = Object.entries(ROWS).flatMap(([kind, { contradictory = [] }]) =>
    contradictory.map(([what, env, name]): [string, string, Env, string] => [kind, what, env, name]),
  );
  it.each(wrong)('%s with %s is refused by name', (kind, _, over, name) => {
    const faults = faultsOf({ GATEHOUSE_PROVIDERS: kind, ...ROWS[kind]!.good, ...over });
    expect(faults.join('\n')).toContain(`${name}:`);
    expect(faults.join('\n')).not.toContain(SECRET);
  });

  it('a jwt verifier about which nothing is said is told everything at once', () => {
    const faults = faultsOf({ GATEHOUSE_PROVIDERS: 'jwt' }).join('\n');
    expect(faults).toContain('GATEHOUSE_JWT_JWKS_URI:');
    expect(faults).toContain('GATEHOUSE_JWT_ISSUER:');
  });

  it('a secret may come from a file name, and is never shown', () => {
    const faults = faultsOf({
      GATEHOUSE_PROVIDERS: 'jwt',
      GATEHOUSE_JWT_ISSUER: 'i',
      GATEHOUSE_JWT_SECRET: 'too-short-a-secret',
    });
    expect(faults.join('\n')).toContain('GATEHOUSE_JWT_SECRET');
    expect(faults.join('\n')).not.toContain('too-short-a-secret');
    const file = faultsOf({
      GATEHOUSE_PROVIDERS: 'jwt',
      GATEHOUSE_JWT_ISSUER: 'i',
      GATEHOUSE_JWT_SECRET_FILE: '/nonexistent/secret',
    });
    expect(file.join('\n')).toContain('GATEHOUSE_JWT_SECRET_FILE');
  });
});

describe('remote authorization servers', () => {
  let fake: FakeOidc;
  beforeAll(async () => {
    fake = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
  });
  afterAll(() => fake.close());

  it.each([
    ['remote', 'GATEHOUSE_REMOTE_ISSUER'],
    ['authkit', 'GATEHOUSE_AUTHKIT_AUTHKIT_DOMAIN'],
  ])(
    'RS-1: %s: metadata and challenge point at the foreign server, and its tokens open the tools',
    async (kind, name) => {
      const gatehouse = await startGatehouse({ env: { GATEHOUSE_PROVIDERS: kind, [name]: fake.issuer } });
      const refused = await callTool(gatehouse.mcpUrl, null, 'hello', { name: 'x' });
      const challenge = refused.headers.get('www-authenticate') ?? '';
      const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1];
      expect(url).toBe(`${gatehouse.url}/.well-known/oauth-protected-resource/mcp`);
      const metadata = (await (await fetch(url!)).json()) as Record<string, unknown>;
      expect(metadata['authorization_servers']).toEqual([fake.issuer]);
      expect(metadata['resource']).toBe(gatehouse.mcpUrl);
      const token = await fake.sign(accessClaims(fake, gatehouse.mcpUrl, ['mcp', 'repo:read']));
      const who = await (await callTool(gatehouse.mcpUrl, token, 'whoami')).text();
      expect(who).toMatch(new RegExp(`"via": ?"${kind}"`));
      expect(who).toMatch(/"client": ?"an-mcp-client"/);
      const foreign = await fake.sign(accessClaims(fake, 'https://other.example/mcp'));
      expect((await callTool(gatehouse.mcpUrl, foreign, 'whoami')).status).toBe(401);
      expect(gatehouse.logs.join('\n')).toContain('https://other.example/mcp');
      await gatehouse.close();
    },
  );

  it('starts while the remote server is down: its tokens 503, and they work once it is back', async () => {
    const down = await new FakeOidc().listen();
    const port = Number(new URL(down.origin).port);
    await down.close();
    const gatehouse = await startGatehouse({
      env: { GATEHOUSE_PROVIDERS: 'remote', GATEHOUSE_REMOTE_ISSUER: down.issuer },
    });
    const token = () => down.sign(accessClaims(down, gatehouse.mcpUrl));
    const refused = await callTool(gatehouse.mcpUrl, await token(), 'hello', { name: 'x' });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(gatehouse.logs.join('\n')).toContain('discovery failed');
    const back = new FakeOidc();
    await back.listen(port);
    await vi.waitFor(
      async () => {
        const good = await back.sign(accessClaims(back, gatehouse.mcpUrl));
        expect((await callTool(gatehouse.mcpUrl, good, 'hello', { name: 'x' })).status).toBe(200);
      },
      { timeout: 10_000, interval: 100 },
    );
    await gatehouse.close();
    await back.close();
  });
});

describe('a provider from outside the tree', () => {
  // One folder of somebody's own: the schema of its settings and what it does.
  const toy = defineProvider({
    kind: 'toy',
    sort: 'verifier',
    settings: z.object({ word: z.string().min(3) }),
    create: (id, { word }) => ({
      id,
      async verify(token: string): Promise<Principal | null> {
        if (token !== word) return null;
        return {
          key: `${id}:toy`,
          user: null,
          subject: 'toy',
          client: 'toy',
          scopes: [],
          roles: [],
          via: id,
          expiresAt: null,
        };
      },
    }),
  });
  const toyLogin = defineProvider({
    kind: 'toy-login',
    sort: 'login',
    settings: z.object({ label: z.string() }),
    create: (id, { label }): LoginProvider => ({
      id,
      label,
      start: async ({ state, callbackUrl }) => ({
        url: new URL(`${callbackUrl.href}?code=1&state=${state}`),
        memo: {},
      }),
      finish: async () => ({
        identity: { provider: id, subject: '1', claims: {} },
        tokens: { accessToken: '', scopes: [] },
      }),
    }),
  });

  it('is one call in forRoot, and its tokens open the tools', async () => {
    const port = await freePort();
    class App {}
    const root = GatehouseModule.forRoot({
      port,
      databaseUrl: 'sqlite::memory:',
      secret: [Buffer.alloc(32, 7).toString('base64')],
      providers: [toy({ word: 'sesame' }), toy({ word: 'second' }, 'other-toy'), toyLogin({ label: 'The Toy' })],
    });
    const app = await createApp({ module: App, imports: [root] }, { logger: false });
    await app.listen(port, '127.0.0.1');
    const url = `http://localhost:${port}/mcp`;
    expect(await (await callTool(url, 'sesame', 'whoami')).text()).toMatch(/"via": ?"toy"/);
    expect(await (await callTool(url, 'second', 'whoami')).text()).toMatch(/"via": ?"other-toy"/);
    expect((await callTool(url, 'neither', 'whoami')).status).toBe(401);
    await app.close();
  });

  it('settings that do not fit are refused where they are written', () => {
    expect(() => toy({ word: 'x' })).toThrow(/word/);
  });

  it('in the environment it is one more entry of the list of kinds', () => {
    const kinds = [...providerKinds, toy.definition];
    const env = { GATEHOUSE_PROVIDERS: 'door:toy', GATEHOUSE_DOOR_WORD: 'sesame' };
    const { settings } = readEnvironment(env, { cwd: '/nonexistent', kinds });
    expect(settings.providers).toMatchObject([{ id: 'door', settings: { word: 'sesame' } }]);
    expect(() => readEnvironment({ GATEHOUSE_PROVIDERS: 'door:toy' }, { cwd: '/nonexistent', kinds })).toThrow(
      ConfigurationError,
    );
  });
});
