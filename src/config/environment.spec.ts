import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { LoginProvider, ProviderKind, TokenVerifier } from '../providers/contract.js';
import { ConfigurationError } from './configuration-error.js';
import { readEnvironment, type Environment } from './environment.js';
import { readOptions } from './options.js';
import { httpUrl, list, scopes, secret } from './values.js';

const FASTMCP = 'fastmcp.server.auth.providers';

const unbuilt = () => ({}) as LoginProvider & TokenVerifier;
const login = (kind: string, more: z.ZodRawShape = {}): ProviderKind => ({
  kind,
  sort: 'login',
  settings: z.object({
    clientId: z.string().min(1),
    clientSecret: secret(),
    scopes: scopes().default(['read:user']),
    ...more,
  }),
  create: unbuilt,
});
const kinds: ProviderKind[] = [
  login('github'),
  login('google'),
  login('workos', { authkitDomain: httpUrl() }),
  { kind: 'authkit', sort: 'verifier', settings: z.object({ authkitDomain: httpUrl() }), create: unbuilt },
  {
    kind: 'static-token',
    sort: 'verifier',
    settings: z.object({ tokens: secret().optional(), tokensFile: z.string().optional() }),
    create: unbuilt,
  },
  {
    kind: 'jwt',
    sort: 'verifier',
    settings: z
      .object({
        jwksUri: httpUrl().optional(),
        publicKey: secret().optional(),
        secret: secret(32).optional(),
        issuer: list().default([]),
        audience: list().default([]),
        algorithms: list().default([]),
      })
      .refine(({ jwksUri, publicKey, secret }) => [jwksUri, publicKey, secret].filter(Boolean).length === 1, {
        error: 'wants exactly one of JWKS_URI, PUBLIC_KEY and SECRET',
      }),
    create: unbuilt,
  },
  {
    kind: 'introspection',
    sort: 'verifier',
    settings: z.object({ url: httpUrl(), clientId: z.string(), clientSecret: secret() }),
    create: unbuilt,
  },
];

const GITHUB = {
  GATEHOUSE_PROVIDERS: 'github',
  GATEHOUSE_GITHUB_CLIENT_ID: 'id',
  GATEHOUSE_GITHUB_CLIENT_SECRET: 'hush-hush-hush',
};
let cwd: string;
const made: string[] = [];
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'gatehouse-config-'));
  made.push(cwd);
});
afterAll(() => made.forEach((path) => rmSync(path, { recursive: true })));

const read = (env: Environment) => readEnvironment(env, { cwd, kinds });
function faults(env: Environment): string[] {
  try {
    read(env);
  } catch (error) {
    if (error instanceof ConfigurationError) return [...error.faults];
    throw error;
  }
  return [];
}

describe('the environment', () => {
  it('is complete when it is empty', () => {
    const { settings, notes } = read({});
    expect(settings.providers.map(({ id }) => id)).toEqual(['static-token']);
    expect(settings.publicUrl).toBe('http://localhost:8000');
    expect(settings.mcpUrl).toBe('http://localhost:8000/mcp');
    expect(settings.discovery).toBe(false);
    expect(settings.values).toMatchObject({ host: '127.0.0.1', port: 8000, accessTokenTtl: 3600, metrics: false });
    expect(notes).toEqual([]);
  });

  it('reads every variable of the first table', () => {
    const pair = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=x',
    ];
    execFileSync('openssl', [...pair, '-keyout', 'key.pem', '-out', 'cert.pem'], { cwd, stdio: 'ignore' });
    const { settings } = read({
      ...GITHUB,
      GATEHOUSE_PUBLIC_URL: 'https://mcp.example.com',
      GATEHOUSE_HOST: '0.0.0.0',
      GATEHOUSE_PORT: '9000',
      GATEHOUSE_MCP_PATH: '/tools/mcp',
      GATEHOUSE_DATABASE_URL: 'postgres://u:p@db/g',
      GATEHOUSE_SECRET: Buffer.alloc(32, 1).toString('base64'),
      GATEHOUSE_REQUIRED_SCOPES: 'mcp',
      GATEHOUSE_DEFAULT_SCOPES: 'mcp tools',
      GATEHOUSE_ALLOW: 'domain:Example.com, github-org:acme',
      GATEHOUSE_ADMINS: 'email:a@example.com',
      GATEHOUSE_ADMIN_TOKEN: 'a'.repeat(32),
      GATEHOUSE_TLS_CERT_FILE: 'cert.pem',
      GATEHOUSE_TLS_KEY_FILE: 'key.pem',
      GATEHOUSE_TRUSTED_PROXIES: '10.0.0.0/8,::1',
      GATEHOUSE_ALLOWED_ORIGINS: 'https://app.example.com,*',
      GATEHOUSE_ACCESS_TOKEN_TTL: '15m',
      GATEHOUSE_REFRESH_TOKEN_TTL: '7d',
      GATEHOUSE_REGISTRATION: 'approval',
      GATEHOUSE_CLIENT_ID_DOCUMENTS: 'off',
      GATEHOUSE_DISCOVERY: 'off',
      GATEHOUSE_LEGACY_SESSIONS: 'on',
      GATEHOUSE_ERROR_REDIRECTS: 'all',
      GATEHOUSE_STEP_UP: 'link',
      GATEHOUSE_AUDIT_RETENTION: '30d',
      GATEHOUSE_LOG_LEVEL: 'debug',
      GATEHOUSE_LOG_FORMAT: 'json',
      GATEHOUSE_METRICS: 'on',
      GATEHOUSE_RATE_LIMITS: 'off',
    });
    expect(settings.values).toMatchObject({
      port: 9000,
      mcpPath: '/tools/mcp',
      accessTokenTtl: 900,
      clientIdDocuments: false,
      legacySessions: true,
      stepUp: 'link',
      metrics: true,
      rateLimits: false,
    });
    expect(settings.mcpUrl).toBe('https://mcp.example.com/tools/mcp');
    expect(settings.discovery).toBe(false);
    expect(settings.allow).toHaveLength(2);
  });

  it('honours PORT, and prefers its own', () => {
    expect(read({ GATEHOUSE_TOKEN: 'x', PORT: '3000' }).settings.values.port).toBe(3000);
    expect(read({ PORT: '3000', GATEHOUSE_PORT: '3001' }).settings.values.port).toBe(3001);
    expect(faults({ PORT: 'x' })[0]).toMatch(/^PORT: got "x", wants a port number/);
  });

  it('keeps two instances of one kind apart, in the order given', () => {
    const { settings } = read({
      ...GITHUB,
      GATEHOUSE_PROVIDERS: 'corp-hub:github, github',
      GATEHOUSE_CORP_HUB_CLIENT_ID: 'corp',
      GATEHOUSE_CORP_HUB_CLIENT_SECRET: 'corp-secret',
    });
    expect(settings.providers.map(({ id, settings }) => [id, (settings as { clientId: string }).clientId])).toEqual([
      ['corp-hub', 'corp'],
      ['github', 'id'],
    ]);
  });

  it('reads .env in the working directory, and the process wins', () => {
    writeFileSync(join(cwd, '.env'), 'GATEHOUSE_PORT=7000\nGATEHOUSE_HOST="::1"\n# GATEHOUSE_NOTHING=1\n');
    expect(read({ GATEHOUSE_PORT: '7001' }).settings.values).toMatchObject({ port: 7001, host: '::1' });
  });

  it('reads the _FILE form of every secret, without its last line break', () => {
    writeFileSync(join(cwd, 'one'), 'from a file\n');
    const env = { ...GITHUB, GATEHOUSE_GITHUB_CLIENT_SECRET: undefined, GATEHOUSE_GITHUB_CLIENT_SECRET_FILE: 'one' };
    expect(read(env).settings.providers[0]?.settings).toMatchObject({ clientSecret: 'from a file' });
    expect(faults({ ...env, GATEHOUSE_GITHUB_CLIENT_SECRET_FILE: 'none' })).toEqual([
      'GATEHOUSE_GITHUB_CLIENT_SECRET_FILE: cannot read none (ENOENT)',
    ]);
    expect(faults({ ...env, GATEHOUSE_GITHUB_CLIENT_SECRET: 'x' })[0]).toContain('only one of them');
  });

  it('leaves a file that the provider reloads to the provider', () => {
    expect(read({ GATEHOUSE_STATIC_TOKEN_TOKENS_FILE: 'later.json' }).settings.providers[0]?.settings).toEqual({
      tokensFile: 'later.json',
    });
  });
});

describe('bad configuration', () => {
  it('is named whole in one message, with what it got and what it wants, exit 78', () => {
    const error = (() => {
      try {
        return read({ GATEHOUSE_PORT: 'abc', GATEHOUSE_METRICS: 'yes', GATEHOUSE_ACCESS_TOKEN_TTL: '1 hour' });
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(ConfigurationError);
    const { message, exitCode } = error as ConfigurationError;
    expect(exitCode).toBe(78);
    expect(message).toContain('GATEHOUSE_PORT: got "abc", wants a port number from 0 to 65535');
    expect(message).toContain('GATEHOUSE_METRICS: got "yes", wants on or off');
    expect(message).toContain('GATEHOUSE_ACCESS_TOKEN_TTL: got "1 hour", wants a duration like 90s, 15m, 1h or 30d');
  });

  it('never shows a secret', () => {
    const shown = [
      ...faults({ GATEHOUSE_ADMIN_TOKEN: 'topsecret-value', GATEHOUSE_SECRET: 'c2hvcnQtc2VjcmV0' }),
      ...faults({ GATEHOUSE_DATABASE_URL: 'mysql://root:topsecret-value@db/x' }),
      ...faults({ GATEHOUSE_PROVIDERS: 'jwt', GATEHOUSE_JWT_SECRET: 'topsecret-value' }),
    ];
    expect(shown.length).toBeGreaterThanOrEqual(4);
    expect(shown.join()).not.toMatch(/topsecret|c2hvcnQ/);
    expect(shown.join()).toContain('GATEHOUSE_ADMIN_TOKEN');
  });

  it.each([
    [{ GATEHOUSE_PROT: '1' }, 'GATEHOUSE_PROT: is no setting of Gatehouse; did you mean GATEHOUSE_PORT?'],
    [{ GATEHOUSE_GITHUB_CLIENT_IDD: '1' }, 'did you mean GATEHOUSE_GITHUB_CLIENT_ID?'],
    [{ GATEHOUSE_PROVIDERS: 'githib' }, 'did you mean github?'],
    [{ GATEHOUSE_PROVIDERS: 'admin:github' }, 'the id "admin" is reserved'],
    [{ GATEHOUSE_PROVIDERS: 'secret:github' }, 'the id "secret" is reserved'],
    [{ GATEHOUSE_PROVIDERS: 'Hub:github' }, 'wants an id of small letters'],
    [{ GATEHOUSE_DEFAULT_SCOPES: 'mcp offline_access' }, 'refresh tokens come without it'],
    [{ GATEHOUSE_REQUIRED_SCOPES: 'offline_access' }, 'refresh tokens come without it'],
    [{ GATEHOUSE_PROVIDERS: ' , ' }, 'GATEHOUSE_PROVIDERS: is empty'],
    [{ ...GITHUB, GATEHOUSE_PROVIDERS: 'github,github' }, 'the id "github" is used twice'],
    [{ GATEHOUSE_PROVIDERS: 'github' }, 'GATEHOUSE_GITHUB_CLIENT_ID: is missing'],
    [{ GATEHOUSE_PROVIDERS: 'jwt' }, 'The provider jwt: wants exactly one of JWKS_URI, PUBLIC_KEY and SECRET'],
    [{ GATEHOUSE_PUBLIC_URL: 'https://a.example/x' }, 'wants an origin without a path: https://a.example'],
    [{ GATEHOUSE_PUBLIC_URL: 'https://a.example/' }, 'wants no trailing slash: https://a.example'],
    [{ GATEHOUSE_MCP_PATH: '/token' }, '/token belongs to another endpoint'],
    [{ GATEHOUSE_ALLOW: 'github-ork:acme' }, '"github-ork" is no kind of rule'],
    [{ GATEHOUSE_ALLOW: '' }, 'GATEHOUSE_ALLOW: is empty'],
    [{ GATEHOUSE_TLS_CERT_FILE: 'cert.pem' }, 'GATEHOUSE_TLS_KEY_FILE: is missing'],
    [{ GATEHOUSE_TLS_KEY_FILE: 'key.pem' }, 'GATEHOUSE_TLS_CERT_FILE: is missing'],
    [{ GATEHOUSE_TLS_CERT_FILE: 'a', GATEHOUSE_TLS_KEY_FILE: 'b' }, 'GATEHOUSE_TLS_CERT_FILE: cannot read a (ENOENT)'],
    [{ GATEHOUSE_DATABASE_URL: 'postgres://db/g' }, 'GATEHOUSE_SECRET: is missing'],
    [{ GATEHOUSE_TRUSTED_PROXIES: 'nginx' }, 'got "nginx", wants an address or CIDR'],
    [{ GATEHOUSE_ALLOWED_ORIGINS: 'app.example.com' }, 'wants an origin such as https://app.example.com'],
    [{ ...GITHUB, GATEHOUSE_HOST: '0.0.0.0' }, 'GATEHOUSE_PUBLIC_URL: is missing'],
    [
      { FASTMCP_SERVER_AUTH: `${FASTMCP}.github.GitHubProvider`, FASTMCP_SERVER_AUTH_GITHUB_CLIENT_SECRET: 'k' },
      'GATEHOUSE_GITHUB_CLIENT_ID (here: FASTMCP_SERVER_AUTH_GITHUB_CLIENT_ID): is missing',
    ],
    ...['/token', '/mcp', '/mcp/', '/account', '/admin/v1/users', '/.well-known/x', '/cb/:id', 'cb', '//host'].map(
      (path): [Record<string, string>, string] => [
        {
          ...GITHUB,
          FASTMCP_SERVER_AUTH: `${FASTMCP}.github.GitHubProvider`,
          FASTMCP_SERVER_AUTH_GITHUB_REDIRECT_PATH: path,
        },
        `FASTMCP_SERVER_AUTH_GITHUB_REDIRECT_PATH: got "${path}"`,
      ],
    ),
    [
      {
        ...GITHUB,
        GATEHOUSE_PROVIDERS: 'github,google',
        FASTMCP_SERVER_AUTH: `${FASTMCP}.github.GitHubProvider`,
        FASTMCP_SERVER_AUTH_GOOGLE_REDIRECT_PATH: '/auth/callback/',
      },
      'FASTMCP_SERVER_AUTH_GOOGLE_REDIRECT_PATH: /auth/callback/ is the callback path of github already',
    ],
    [{ ...GITHUB, FASTMCP_SERVER_AUTH: 'my.own.Provider' }, 'FASTMCP_SERVER_AUTH: got "my.own.Provider", wants one of'],
  ])('%j is refused', (env: Environment, message) => {
    expect(faults(env).join('\n')).toContain(message);
  });

  it('sec-48: start fails on short secrets, empty tokens, a trust-all proxy and, off loopback, http or login without rules', () => {
    const reached = { ...GITHUB, GATEHOUSE_HOST: '0.0.0.0', GATEHOUSE_ALLOW: '*' };
    const https = { GATEHOUSE_PUBLIC_URL: 'https://mcp.example.com' };
    expect(faults({ GATEHOUSE_SECRET: Buffer.alloc(31).toString('base64') })[0]).toMatch(/^GATEHOUSE_SECRET: /);
    expect(faults({ GATEHOUSE_ADMIN_TOKEN: '' })[0]).toMatch(/^GATEHOUSE_ADMIN_TOKEN: /);
    expect(faults({ GATEHOUSE_TRUSTED_PROXIES: '0.0.0.0/0' })[0]).toContain('would trust every address');
    expect(faults({ GATEHOUSE_TRUSTED_PROXIES: '::/0' })[0]).toContain('would trust every address');
    expect(faults({ ...reached, GATEHOUSE_PUBLIC_URL: 'http://mcp.example.com' })[0]).toContain('wants https');
    expect(faults({ ...GITHUB, GATEHOUSE_PUBLIC_URL: 'http://mcp.example.com' })[0]).toContain('wants https');
    expect(faults({ ...reached, ...https, GATEHOUSE_ALLOW: undefined })[0]).toMatch(/^GATEHOUSE_ALLOW: is missing/);
    expect(faults({ ...reached, ...https })).toEqual([]);
    expect(faults({ ...GITHUB })).toEqual([]);
  });

  it('of a provider hides no fault of the whole: both are in one message', () => {
    const all = faults({ GATEHOUSE_PROVIDERS: 'github', GATEHOUSE_HOST: '0.0.0.0' }).join('\n');
    for (const name of ['GITHUB_CLIENT_ID', 'GITHUB_CLIENT_SECRET', 'PUBLIC_URL', 'ALLOW'])
      expect(all).toContain(`GATEHOUSE_${name}: is missing`);
  });

  it('of a kind that is not on is a note', () => {
    const { notes } = read({ GATEHOUSE_GITHUB_CLIENT_ID: 'x', GATEHOUSE_GITHUB_CLIENT_SECRET_FILE: '/nowhere' });
    expect(notes).toEqual([
      'GATEHOUSE_GITHUB_CLIENT_ID is ignored: the provider github is not on',
      'GATEHOUSE_GITHUB_CLIENT_SECRET_FILE is ignored: the provider github is not on',
    ]);
  });
});

describe('FastMCP 2 names', () => {
  it('boot a GitHub sign-in unchanged, on the callback path that is registered there', () => {
    const { settings, notes } = read({
      FASTMCP_SERVER_AUTH: `${FASTMCP}.github.GitHubProvider`,
      FASTMCP_SERVER_AUTH_GITHUB_CLIENT_ID: 'Iv1.abc',
      FASTMCP_SERVER_AUTH_GITHUB_CLIENT_SECRET: 'hush',
      FASTMCP_SERVER_AUTH_GITHUB_BASE_URL: 'http://localhost:8000/',
      FASTMCP_SERVER_AUTH_GITHUB_REQUIRED_SCOPES: '["read:user", "repo"]',
      FASTMCP_SERVER_AUTH_GITHUB_TIMEOUT_SECONDS: '10',
    });
    expect(settings.providers[0]).toMatchObject({
      id: 'github',
      settings: { clientId: 'Iv1.abc', clientSecret: 'hush', scopes: ['read:user', 'repo'] },
    });
    expect(settings.publicUrl).toBe('http://localhost:8000');
    expect(settings.callbackUrl('github').href).toBe('http://localhost:8000/auth/callback');
    expect(notes).toContain('FASTMCP_SERVER_AUTH_GITHUB_CLIENT_ID is read as GATEHOUSE_GITHUB_CLIENT_ID');
    expect(notes).toContain('FASTMCP_SERVER_AUTH_GITHUB_TIMEOUT_SECONDS is ignored: Gatehouse has no such setting');
    expect(notes.join()).not.toContain('hush');
  });

  it.each([
    [
      'google',
      { FASTMCP_SERVER_AUTH: `${FASTMCP}.google.GoogleProvider`, FASTMCP_SERVER_AUTH_GOOGLE_CLIENT_ID: 'g' },
      { FASTMCP_SERVER_AUTH_GOOGLE_CLIENT_SECRET: 's', FASTMCP_SERVER_AUTH_GOOGLE_REDIRECT_PATH: '/cb' },
      '/cb',
    ],
    [
      'workos',
      { FASTMCP_SERVER_AUTH: `${FASTMCP}.workos.WorkOSProvider`, FASTMCP_SERVER_AUTH_WORKOS_CLIENT_ID: 'w' },
      {
        FASTMCP_SERVER_AUTH_WORKOS_CLIENT_SECRET: 's',
        FASTMCP_SERVER_AUTH_WORKOS_AUTHKIT_DOMAIN: 'a.authkit.app',
      },
      '/auth/callback',
    ],
    [
      'authkit',
      { FASTMCP_SERVER_AUTH: `${FASTMCP}.workos.AuthKitProvider` },
      { FASTMCP_SERVER_AUTH_AUTHKITPROVIDER_AUTHKIT_DOMAIN: 'https://a.authkit.app' },
      '/callback/authkit',
    ],
    [
      'jwt',
      { FASTMCP_SERVER_AUTH: `${FASTMCP}.jwt.JWTVerifier`, FASTMCP_SERVER_AUTH_JWT_ALGORITHM: 'HS256' },
      { FASTMCP_SERVER_AUTH_JWT_PUBLIC_KEY: 'k'.repeat(32), FASTMCP_SERVER_AUTH_JWT_REQUIRED_SCOPES: 'mcp' },
      '/callback/jwt',
    ],
    [
      'introspection',
      { FASTMCP_SERVER_AUTH: `${FASTMCP}.introspection.IntrospectionTokenVerifier` },
      {
        FASTMCP_SERVER_AUTH_INTROSPECTION_INTROSPECTION_URL: 'https://as.example/introspect',
        FASTMCP_SERVER_AUTH_INTROSPECTION_CLIENT_ID: 'rs',
        FASTMCP_SERVER_AUTH_INTROSPECTION_CLIENT_SECRET: 's',
      },
      '/callback/introspection',
    ],
  ])('are accepted for %s', (kind, one, two, path) => {
    const { settings } = read({ ...one, ...two });
    expect(settings.providers.map(({ id }) => id)).toEqual([kind]);
    expect(settings.callbackUrl(kind).pathname).toBe(path);
    if (kind === 'jwt') expect(settings.values.requiredScopes).toEqual(['mcp']);
  });

  it('give way to ours', () => {
    const { settings, notes } = read({
      ...GITHUB,
      GATEHOUSE_PUBLIC_URL: 'http://localhost:9999',
      FASTMCP_SERVER_AUTH_GITHUB_BASE_URL: 'http://localhost:1',
      FASTMCP_SERVER_AUTH_GITHUB_CLIENT_ID: 'other',
      FASTMCP_SERVER_AUTH_GOOGLE_CLIENT_ID: 'unused',
    });
    expect(settings.publicUrl).toBe('http://localhost:9999');
    expect(settings.providers[0]?.settings).toMatchObject({ clientId: 'id' });
    expect(settings.callbackUrl('github').pathname).toBe('/callback/github');
    expect(notes).toContain('FASTMCP_SERVER_AUTH_GOOGLE_CLIENT_ID is ignored: the provider google is not on');
    expect(notes).toContain('FASTMCP_SERVER_AUTH_GITHUB_CLIENT_ID is ignored: GATEHOUSE_GITHUB_CLIENT_ID is set');
  });
});

describe('options in code', () => {
  const github = { id: 'github', kind: kinds[0]!, settings: { clientId: 'x', clientSecret: 'y' } };
  it('are the same settings, and nothing of the environment counts', () => {
    const settings = readOptions({ port: 8123, accessTokenTtl: '5m', providers: [github], allow: '*' }, { cwd });
    expect(settings.values).toMatchObject({ port: 8123, accessTokenTtl: 300 });
    expect(settings.hasLogin).toBe(true);
  });

  it('are refused by the same rules, by their names in code', () => {
    const bad = { host: '0.0.0.0', portt: 1, providers: [github, github] };
    expect(() => readOptions(bad, { cwd })).toThrow(/portt: is no option.*\n.*used twice.*\n.*publicUrl: is missing/);
  });

  it('default to static-token alone', () => {
    expect(readOptions({}, { cwd, kinds }).providers.map(({ id }) => id)).toEqual(['static-token']);
  });
});
