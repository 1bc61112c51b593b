import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { redirectMatches } from '../../src/protocol/redirect-uri.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type TokenAnswer, type WithGitHub } from '../oauth-client.js';
import { seeded, type Random } from '../random.js';
import { send } from '../wire.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
const ODD = '\u0000\u0001\t\n "\'<>&%=;,:/\\?#@[]{}()*+$~|^`äé€\u202E\u{1F600}abc019-_.';

/** The same text with a few characters put in, left out, repeated or changed. */
function spoiled(text: string, random: Random): string {
  let spoilt = text;
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const at = random.below(spoilt.length + 1);
    const piece = random.of([
      random.text(ODD, 3),
      spoilt.slice(at, at + random.below(6)),
      '..',
      '//',
      '%2e',
      '@evil.example',
      '.evil.example',
      ':1',
    ]);
    spoilt = random.once(2)
      ? spoilt.slice(0, at) + piece + spoilt.slice(at)
      : spoilt.slice(0, at) + piece + spoilt.slice(at + 1 + random.below(4));
  }
  return spoilt;
}

describe.each(databases())('what holds whatever happens, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let url: string;
  let client: TestClient;
  let stranger: TestClient;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_RATE_LIMITS: 'off', GATEHOUSE_ADMIN_TOKEN: ADMIN },
    });
    url = house.gatehouse.url;
    client = await TestClient.register(url);
    stranger = await TestClient.register(url, { client_name: 'Stranger' });
  });
  afterAll(async () => {
    await house?.close();
    await place?.drop();
  });

  const database = (): Database => house.gatehouse.app.get(Database);
  const codeOf = async (): Promise<string> => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    return browser.stoppedAt.searchParams.get('code')!;
  };
  const grants = async (): Promise<number> => (await database().rows(sql`SELECT id FROM oauth_grant`)).length;

  it('I1: of 300 redirect URIs that resemble registered ones only those that match by the rules get a page, and none is redirected to', async () => {
    const random = seeded(1);
    const registered = [
      'https://app.example/cb?tenant=a',
      'http://localhost/callback',
      'cursor://anysphere.cursor-mcp/oauth/callback',
    ];
    const several = await TestClient.register(url, { redirect_uris: registered, client_name: 'Several' });
    let pages = 0;
    for (let i = 0; i < 300; i++) {
      const base = random.of(registered);
      const asked = random.once(6)
        ? base.replace('localhost', `localhost:${1 + random.below(65_535)}`)
        : spoiled(base, random);
      const answer = await fetch(several.authorizeUrl({ redirect_uri: asked }), { redirect: 'manual' });
      const location = answer.headers.get('location');
      const expected = asked !== '' && redirectMatches(registered, asked);
      expect([asked, answer.status, location?.startsWith('/login/') ?? null]).toEqual([
        asked,
        expected ? 303 : 400,
        expected ? true : null,
      ]);
      if (expected) pages++;
    }
    expect(pages).toBeGreaterThan(20);
  });

  it('I2: however a code is redeemed, by whom and how often at once, it gives one family of tokens at most', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = seeded(seed);
      const before = await grants();
      const code = await codeOf();
      expect(await grants()).toBe(before + 1);
      const tries = Array.from(
        { length: 2 + random.below(7) },
        () => (): Promise<TokenAnswer> =>
          random.of([
            () => client.redeem(code),
            () => client.redeem(code),
            () => client.redeem(code, { code_verifier: 'w'.repeat(43) }),
            () => client.redeem(code, { redirect_uri: 'http://127.0.0.1:1/callback' }),
            () => stranger.redeem(code, { code_verifier: client.verifier }),
          ])(),
      );
      const answers: TokenAnswer[] = [];
      while (tries.length > 0)
        answers.push(...(await Promise.all(tries.splice(0, 1 + random.below(4)).map((go) => go()))));
      const good = answers.filter(({ status }) => status === 200);
      expect([seed, good.length <= 1]).toEqual([seed, true]);
      expect([seed, await grants()]).toEqual([seed, before + 1]);
      for (const { status, body } of answers)
        expect([seed, status === 200 || body.error === 'invalid_grant']).toEqual([seed, true]);
    }
  });

  it('I2, I3: however refreshes, retries, thefts and revocations mix, a token has one successor, and after a revocation nothing works', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = seeded(seed * 7919);
      const { refreshToken } = await signIn(client);
      const known = [refreshToken];
      const access: string[] = [];
      const successors = new Map<string, Set<string>>();
      let revoked = false;
      for (let round = 0; round < 6 && !revoked; round++) {
        const chosen = Array.from({ length: 1 + random.below(4) }, () => random.of(known.slice(-2)));
        const revokes = random.once(5);
        const [answers, ended] = await Promise.all([
          Promise.all(
            chosen.map(async (token) => ({ token, answer: await (random.once(6) ? stranger : client).refresh(token) })),
          ),
          revokes ? client.revoke(random.of(known)) : null,
        ]);
        for (const { token, answer } of answers) {
          expect([seed, answer.status === 200 || answer.body.error === 'invalid_grant']).toEqual([seed, true]);
          if (answer.status !== 200) continue;
          const next = answer.body.refresh_token!;
          successors.set(token, (successors.get(token) ?? new Set()).add(next));
          if (!known.includes(next)) known.push(next);
          access.push(answer.body.access_token!);
        }
        for (const nexts of successors.values()) expect([seed, nexts.size]).toEqual([seed, 1]);
        if (!ended) continue;
        expect([seed, ended.status]).toEqual([seed, 200]);
        revoked = true;
      }
      if (!revoked) expect((await client.revoke(known.at(-1)!)).status).toBe(200);
      for (const token of known)
        expect([seed, (await client.refresh(token)).body.error]).toEqual([seed, 'invalid_grant']);
      for (const token of access.slice(-3))
        expect([seed, (await callTool(house.gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status]).toEqual([
          seed,
          401,
        ]);
    }
  });

  it('I7: of 600 requests of random make none is answered with a 500 or without an answer', async () => {
    const random = seeded(20_260_728);
    const { accessToken, refreshToken } = await signIn(client);
    const code = await codeOf();
    const forms = [
      {
        client_id: client.id,
        grant_type: 'authorization_code',
        code,
        redirect_uri: client.redirectUri,
        code_verifier: 'x',
      },
      {
        client_id: client.id,
        grant_type: 'refresh_token',
        refresh_token: `${refreshToken}x`,
        scope: 'mcp',
        resource: `${url}/mcp`,
      },
      { client_id: client.id, token: `${accessToken}x`, token_type_hint: 'access_token' },
      Object.fromEntries(
        client.authorizeUrl({ prompt: 'none', scope: 'openid mcp', max_age: '1', claims: '{}' }).searchParams,
      ),
    ];
    const bodies = [
      {
        redirect_uris: [client.redirectUri],
        client_name: 'Fuzz',
        jwks: { keys: [{}] },
        token_endpoint_auth_method: 'private_key_jwt',
      },
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'hello', arguments: { name: 'x' }, _meta: {} } },
      { name: 'x', scopes: ['mcp'], user: 'x', expires_at: 1 },
    ];
    const paths = [
      '/mcp',
      '/token',
      '/register',
      '/revoke',
      '/introspect',
      '/par',
      '/authorize',
      '/authorize/x',
      '/jwks',
      '/login/x',
      '/consent/x/continue',
      '/callback/github',
      '/account',
      '/account/widen/x',
      '/admin/v1/users',
      '/admin/v1/clients/x',
      '/admin/v1/tokens',
      '/admin/v1/events',
      '/admin/v1/grants',
      '/admin/v1/flows',
      '/.well-known/oauth-authorization-server',
      '/health/ready',
      '/metrics',
      '/',
    ];
    const value = (): string =>
      random.of([random.text(ODD, 20), 'x'.repeat(random.below(3000)), '0', '-1', 'null', '{}', '[]']);
    const mutated = (members: Record<string, string>): URLSearchParams => {
      const form = new URLSearchParams(members);
      for (let i = random.below(3); i >= 0; i--) {
        const name = random.of([...form.keys(), value()]);
        if (random.once(3)) form.delete(name);
        else if (random.once(2)) form.append(name, value());
        else form.set(name, random.once(2) ? value() : spoiled(form.get(name) ?? '', random));
      }
      return form;
    };
    for (let i = 0; i < 600; i++) {
      const path = random.once(8) ? `${random.of(paths)}/${encodeURIComponent(value())}` : random.of(paths);
      const query = random.once(2) ? `?${mutated(random.of(forms)).toString()}` : '';
      const method = random.of(['GET', 'POST', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
      const json = random.once(2);
      const text = random.once(3)
        ? spoiled(JSON.stringify(random.of(bodies)), random)
        : JSON.stringify(random.of(bodies));
      const body = json ? text : mutated(random.of(forms)).toString();
      const headers = {
        accept: random.of([
          'text/html',
          'application/json',
          '*/*',
          'application/json, text/event-stream',
          value().replace(/[^\x21-\x7E]/g, '') || '*/*',
        ]),
        'content-type': random.of([
          'application/json',
          'application/x-www-form-urlencoded',
          'text/plain',
          'multipart/form-data; boundary=x',
          ';',
        ]),
        authorization: random.of([
          `Bearer ${accessToken}`,
          `Bearer ${ADMIN}`,
          `Basic ${Buffer.from(value()).toString('base64')}`,
          'Bearer',
          'DPoP x.y.z',
        ]),
        cookie: `gth_browser=${random.text('abc', 43)}; gth_interaction=${random.text('abc', 43)}; gth_page=${random.text('=;a', 9)}`,
        'if-match': random.of(['"1"', '*', 'x']),
        dpop: random.text('abc.', 12),
        // Without it Node frames no body of a DELETE.
        ...(method === 'GET' || method === 'OPTIONS' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      };
      const answer = await send({
        to: url,
        path: `${path}${query}`,
        method,
        headers,
        ...(method === 'GET' || method === 'OPTIONS' ? {} : { body }),
      });
      if (answer.status >= 500)
        expect([i, method, path, query, headers, body, answer.status, answer.text]).toEqual('no 5xx');
      expect(answer.text).not.toMatch(/node_modules|\bat \w+ \(|SQLITE_|QueryFailed/);
    }
    expect(house.gatehouse.logs.filter((line) => / {4}at /.test(line))).toEqual([]);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(200);
  });
});
