import { createHash, randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Identifies,
  type LoginProvider,
  type RefreshesUpstreamTokens,
  type RevokesUpstreamTokens,
  UpstreamGrantDead,
} from '../../src/providers/contract.js';
import { Providers } from '../../src/providers/providers.js';
import { Browser, formsOf } from '../browser.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, TestClient } from '../oauth-client.js';
import { type ForeignServer, startForeign } from './processes.js';

type Powers = Identifies & RefreshesUpstreamTokens & RevokesUpstreamTokens;

const here = dirname(fileURLToPath(import.meta.url));

async function startOp(layout: 'generic' | 'authkit', callback: URL): Promise<ForeignServer & { issuer: string }> {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const server = await startForeign(
    process.execPath,
    [join(here, 'op.mjs'), layout, String(port), callback.href, new URL('/account', callback).href],
    {
      ready: issuer,
    },
  );
  return { ...server, issuer };
}

/** Its two development pages: who are you, and may it; ends at the first page of somebody else. */
async function passPages(browser: Browser, login: string): Promise<void> {
  for (let page = 0; page < 3 && browser.last.headers.get('location') === null; page++) {
    const form = formsOf(browser.last).find(({ fields }) => fields.has('prompt'));
    if (!form && page > 0) return;
    if (!form) throw new Error(`an unknown page: ${browser.last.text.slice(0, 2000)}`);
    const fields = new URLSearchParams(form.fields);
    if (fields.get('prompt') === 'login') {
      fields.set('login', login);
      fields.set('password', 'any');
    }
    await browser.submit(form.action, fields);
  }
}

/** What an MCP client does at the foreign server itself: an access token for `resource`. */
async function tokenFor(
  op: { issuer: string },
  paths: { authorize: string; token: string },
  resource: string,
): Promise<string> {
  const redirectUri = 'http://127.0.0.1:19124/callback';
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL(paths.authorize, op.issuer);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: 'an-mcp-client',
    redirect_uri: redirectUri,
    scope: 'openid mcp',
    resource,
    state: 's',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString();
  const browser = new Browser([new URL(redirectUri).origin]);
  await browser.open(url);
  await passPages(browser, 'alice');
  const answer = await fetch(new URL(paths.token, op.issuer), {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'an-mcp-client',
      code: browser.stoppedAt.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
      resource,
    }),
  });
  const body = (await answer.json()) as { access_token?: string };
  if (body.access_token === undefined) throw new Error(JSON.stringify(body));
  return body.access_token;
}

const GENERIC = { authorize: '/auth', token: '/token', jwks: '/jwks', introspect: '/token/introspection' };
const AUTHKIT = {
  authorize: '/oauth2/authorize',
  token: '/oauth2/token',
  jwks: '/oauth2/jwks',
  introspect: '/oauth2/introspection',
};

describe.each([
  ['generic', 'oidc', 'remote', GENERIC],
  ['authkit', 'workos', 'authkit', AUTHKIT],
] as const)('oidc-provider in the %s layout', (layout, login, foreign, paths) => {
  let op: ForeignServer & { issuer: string };
  let gatehouse: RunningGatehouse;

  beforeAll(async () => {
    const port = await freePort();
    op = await startOp(layout, new URL(`http://localhost:${port}/callback/${login}`));
    const credentials = { CLIENT_ID: 'gatehouse', CLIENT_SECRET: 'op-secret' };
    const settings: Record<string, Record<string, string>> = {
      oidc: { ISSUER: op.issuer, SCOPES: 'openid email profile offline_access', LABEL: 'The OP', ...credentials },
      workos: { AUTHKIT_DOMAIN: op.issuer, SCOPES: 'openid email profile offline_access', ...credentials },
      remote: { ISSUER: op.issuer },
      authkit: { AUTHKIT_DOMAIN: op.issuer },
      jwt: { JWKS_URI: `${op.issuer}${paths.jwks}`, ISSUER: op.issuer, AUDIENCE: 'https://jwt.example/mcp' },
      introspection: {
        URL: `${op.issuer}${paths.introspect}`,
        CLIENT_ID: 'introspector',
        CLIENT_SECRET: 'intro-secret-1',
        AUDIENCE: 'https://introspection.example/opaque',
      },
    };
    const kinds = [login, foreign, 'jwt', 'introspection'];
    const env = kinds.flatMap((kind) =>
      Object.entries(settings[kind]!).map(([name, value]) => [`GATEHOUSE_${kind.toUpperCase()}_${name}`, value]),
    );
    gatehouse = await startGatehouse({
      port,
      env: { GATEHOUSE_PROVIDERS: kinds.join(','), ...Object.fromEntries(env) },
    });
  });
  afterAll(async () => {
    await gatehouse.close();
    await op.close();
  });

  const whoami = async (token: string): Promise<string> => (await callTool(gatehouse.mcpUrl, token, 'whoami')).text();

  it.each([
    ['alice', true],
    ['mallory', false],
  ])('%s signs in; an e-mail that is not verified is none', async (person, verified) => {
    const client = await TestClient.register(gatehouse.url);
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press(`provider=${login}`);
    await passPages(browser, person);
    const answer = await client.redeem(browser.stoppedAt.searchParams.get('code') ?? '');
    const who = await whoami(answer.body.access_token ?? '');
    expect(who).toMatch(new RegExp(`"via": ?"${login}"`));
    expect(who.includes(`${person}@example.com`)).toBe(verified);
  });

  it('a person who cancels there is back at the client with access_denied', async () => {
    const client = await TestClient.register(gatehouse.url);
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press(`provider=${login}`);
    await browser.open(`${browser.last.url.href}/abort`);
    expect(browser.stoppedAt.searchParams.get('error')).toBe('access_denied');
  });

  it.each([
    [foreign, undefined],
    ['jwt', 'https://jwt.example/mcp'],
    ['introspection', 'https://introspection.example/opaque'],
  ])('%s accepts its access tokens made for us', async (kind, resource) => {
    const token = await tokenFor(op, paths, resource ?? gatehouse.mcpUrl);
    const who = await whoami(token);
    expect(who).toMatch(new RegExp(`"via": ?"${kind}"`));
    expect(who).toContain('an-mcp-client');
    expect(who).toContain('mcp');
  });

  it('refreshes with rotation, identifies, and tells a revoked grant', async () => {
    const provider = gatehouse.app.get(Providers).login(login) as LoginProvider & Powers;
    const { url, memo } = await provider.start({
      state: 's',
      callbackUrl: new URL(`${gatehouse.url}/callback/${login}`),
      scopes: [],
    });
    const browser = new Browser([gatehouse.url]);
    await browser.open(url);
    await passPages(browser, 'alice');
    const { identity, tokens } = await provider.finish(
      browser.stoppedAt,
      memo,
      new URL(`${gatehouse.url}/callback/${login}`),
    );
    expect(identity).toMatchObject({ subject: 'alice', email: 'alice@example.com', name: 'Alice' });
    expect((await provider.identify(tokens)).subject).toBe('alice');
    const fresh = await provider.refresh(tokens.refreshToken ?? '');
    expect(fresh.refreshToken).not.toBe(tokens.refreshToken);
    await provider.revoke(fresh);
    await expect(provider.refresh(fresh.refreshToken ?? '')).rejects.toThrow(UpstreamGrantDead);
  });

  it('signs out there too where it can: the hint is taken, and the next sign-in asks who it is', async () => {
    const browser = new Browser([]);
    const enter = async (): Promise<void> => {
      await browser.open(`${gatehouse.url}/account`);
      await browser.press(`provider=${login}`);
    };
    await enter();
    await passPages(browser, 'alice');
    expect(browser.last.text).toContain('My account');
    await browser.press('leave=1');
    if (layout === 'authkit') return expect(browser.last.text).not.toContain('leave" value="provider"');
    await browser.press('leave=provider');
    const confirm = formsOf(browser.last).find(({ fields }) => fields.has('xsrf'))!;
    await browser.submit(confirm.action, new URLSearchParams([...confirm.fields, ['logout', 'yes']]));
    expect(browser.last.url.pathname).toBe('/account');
    expect(browser.last.text).toContain('The OP has sent you back');
    await enter();
    expect(formsOf(browser.last).some(({ fields }) => fields.get('prompt') === 'login')).toBe(true);
  });

  it('a token for somebody else opens nothing', async () => {
    const token = await tokenFor(op, paths, 'https://somebody.example/mcp');
    expect((await callTool(gatehouse.mcpUrl, token, 'whoami')).status).toBe(401);
  });
});
