import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { AUTHKIT_PATHS } from '../../src/testing/fake-oidc-paths.js';
import { accessClaims } from '../../src/testing/foreign-tokens.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool } from '../oauth-client.js';

const ADMIN = 'an-admin-token-of-thirty-two-characters';

describe('tokens of foreign issuers at /mcp', () => {
  let issuer: FakeOidc;
  let gatehouse: RunningGatehouse;
  beforeEach(async () => {
    issuer = await new FakeOidc().listen();
  });
  afterEach(async () => {
    await gatehouse.close();
    await issuer.close();
  });

  const jwtEnv = (over: Record<string, string> = {}): Record<string, string> => ({
    GATEHOUSE_PROVIDERS: 'jwt',
    GATEHOUSE_RATE_LIMITS: 'off',
    GATEHOUSE_ADMIN_TOKEN: ADMIN,
    GATEHOUSE_JWT_JWKS_URI: `${issuer.origin}/jwks`,
    GATEHOUSE_JWT_ISSUER: issuer.issuer,
    ...over,
  });
  const call = (token: string): Promise<Response> => callTool(gatehouse.mcpUrl, token, 'hello', { name: 'x' });
  const good = (header: Record<string, unknown> = {}): Promise<string> =>
    issuer.sign(accessClaims(issuer, gatehouse.mcpUrl), header);
  const junk = (): Promise<string> => good({ kid: Math.random().toString(36) });
  const fetches = (): number => issuer.count('GET /jwks');

  it('sec-35: a broken key of one issuer neither breaks its own tokens nor those of the next issuer', async () => {
    const broken = await new FakeOidc().listen();
    const { kid } = issuer.publicJwk;
    broken.fault('GET /jwks', { body: { keys: [{ kty: 'RSA', kid, alg: 'RS256', n: '!!!', e: 'AQAB' }] } });
    gatehouse = await startGatehouse({
      env: jwtEnv({
        GATEHOUSE_PROVIDERS: 'jwt,partner:jwt',
        GATEHOUSE_JWT_JWKS_URI: `${broken.origin}/jwks`,
        GATEHOUSE_JWT_ISSUER: 'https://one.example',
        GATEHOUSE_PARTNER_JWKS_URI: `${issuer.origin}/jwks`,
        GATEHOUSE_PARTNER_ISSUER: issuer.issuer,
      }),
    });
    expect((await call(await good())).status).toBe(200);
    const unsigned = (await good()).replace(/\.[^.]+$/, '.AAAA');
    expect((await call(unsigned)).status).toBe(401);
    const ofTheFirst = await issuer.sign({ ...accessClaims(issuer, gatehouse.mcpUrl), iss: 'https://one.example' });
    expect([401, 503]).toContain((await call(ofTheFirst)).status);
    expect(gatehouse.logs.filter((line) => line.includes('is not used: it is an RSA key of 0 bits'))).toHaveLength(1);
    await broken.close();
  });

  it('sec-34: strangers cause two fetches, and what they use up costs nobody a 401', async () => {
    gatehouse = await startGatehouse({ env: jwtEnv() });
    const first = await good();
    expect((await call(first)).status).toBe(200);
    for (let i = 0; i < 20; i++) expect([401, 503]).toContain((await call(await junk())).status);
    expect(fetches()).toBe(2);
    await issuer.rotateKeys({ alg: 'ES256', keep: true });
    const rotated = await call(await good());
    expect(rotated.status).toBe(503);
    expect(Number(rotated.headers.get('retry-after'))).toBeGreaterThan(20);
    expect((await call(first)).status).toBe(200);
    expect(fetches()).toBe(2);
    expect(gatehouse.logs.filter((line) => line.includes('could not be checked'))).toEqual([]);
  });

  it.each([
    ['500', { status: 500, body: 'no' }],
    ['404', { status: 404, body: {} }],
    ['HTML', { body: '<html>' }],
    ['null', { body: null }],
  ] as const)('sec-34: while the issuer answers %s strangers cause neither fetches nor log lines', async (_, fault) => {
    issuer.fault('GET /jwks', fault);
    gatehouse = await startGatehouse({ env: jwtEnv() });
    const began = performance.now();
    const statuses = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const answer = await call(await junk());
      statuses.add(answer.status);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    expect([...statuses]).toEqual([503]);
    // One at the start, then after 1, 2, 4, … s: how many that were depends on how long the 40 took.
    const due = 1 + Math.floor(Math.log2((performance.now() - began) / 1000 + 1));
    expect(fetches()).toBeLessThanOrEqual(due + 1);
    expect(gatehouse.logs.filter((line) => /cannot be had|could not be checked/.test(line)).length).toBe(fetches());
    issuer.mend();
    await vi.waitFor(async () => expect((await call(await good())).status).toBe(200), {
      timeout: 20_000,
      interval: 200,
    });
  });

  it('GET /providers says of every verifier that has somebody to ask whether it answers', async () => {
    const authkit = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
    const dead = `http://127.0.0.1:${await freePort()}`;
    const introspection = (id: string, url: string): Record<string, string> => ({
      [`GATEHOUSE_${id}_URL`]: url,
      [`GATEHOUSE_${id}_CLIENT_ID`]: issuer.clientId,
      [`GATEHOUSE_${id}_CLIENT_SECRET`]: issuer.clientSecret ?? '',
    });
    gatehouse = await startGatehouse({
      env: jwtEnv({
        GATEHOUSE_PROVIDERS:
          'jwt,authkit,introspection,remote,shared:jwt,dead-jwt:jwt,dead-authkit:authkit,dead-introspection:introspection,dead-remote:remote',
        GATEHOUSE_AUTHKIT_AUTHKIT_DOMAIN: authkit.origin,
        GATEHOUSE_REMOTE_ISSUER: issuer.issuer,
        GATEHOUSE_SHARED_SECRET: 'a-secret-of-at-least-thirty-two-characters',
        GATEHOUSE_SHARED_ISSUER: 'https://shared.example',
        ...introspection('INTROSPECTION', `${issuer.origin}/introspect`),
        GATEHOUSE_DEAD_JWT_JWKS_URI: `${dead}/jwks`,
        GATEHOUSE_DEAD_JWT_ISSUER: dead,
        GATEHOUSE_DEAD_AUTHKIT_AUTHKIT_DOMAIN: dead,
        GATEHOUSE_DEAD_REMOTE_ISSUER: dead,
        ...introspection('DEAD_INTROSPECTION', `${dead}/introspect`),
      }),
    });
    const answer = await fetch(`${gatehouse.url}/admin/v1/providers`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    const { items } = (await answer.json()) as { items: { id: string; answers: boolean | null }[] };
    expect(Object.fromEntries(items.map(({ id, answers }) => [id, answers]))).toEqual({
      jwt: true,
      authkit: true,
      introspection: true,
      remote: true,
      shared: null,
      'dead-jwt': false,
      'dead-authkit': false,
      'dead-introspection': false,
      'dead-remote': false,
    });
    for (const id of ['dead-jwt', 'dead-authkit', 'dead-remote'])
      expect(gatehouse.logs.filter((line) => line.includes(`${id}: `)).join('\n')).toContain('trying again in');
    expect(gatehouse.logs.join('\n')).toMatch(/unsafe: introspection accepts every active token/);
    await authkit.close();
  });
});
