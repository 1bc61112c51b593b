import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Usage } from '../../src/access/usage.js';
import { FLOWS_KEPT } from '../../src/audit/flows.js';
import { TokenRow } from '../../src/oauth/token.entity.js';
import { OUTBOUND } from '../../src/outbound/http-outbound.js';
import { type Outbound, OutboundFailed, type OutboundResponse } from '../../src/outbound/outbound.js';
import { Database } from '../../src/persistence/database.js';
import { Purge } from '../../src/persistence/purge.js';
import { sql } from '../../src/persistence/statement.js';
import { sha256 } from '../../src/protocol/token.js';
import { timeIdFloor } from '../../src/protocol/time-id.js';
import { octocat } from '../../src/testing/fake-github.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, etagOf, everything, firstOf } from '../admin-client.js';
import { type Browser, readable, type Seen } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
const WEB_CALLBACK = 'https://client.example/callback';

/** A sign-in that fails: what happens, and where its trace must say that it stopped. */
interface Failure {
  readonly name: string;
  readonly step: string;
  readonly check: string;
  /** Words of the remedy. */
  readonly mend: string;
  /** Default `refused`. */
  readonly outcome?: 'failed';
  /** Members of the step's detail. */
  readonly detail?: Record<string, unknown>;
  /** @returns the page that the person saw; or the client id, where the error went to the client without a page */
  fail(): Promise<Seen | string>;
}

describe.each(databases())('traces of sign-ins on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let admin: AdminApi;
  let database: Database;
  const documents = new Map<string, () => OutboundResponse>();
  let serial = 0;
  let people = 7000;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_ALLOW: 'github-org:acme',
        GATEHOUSE_RATE_LIMITS: 'off',
      },
    });
    ({ api: admin } = await Administration.of(house.gatehouse.url, ADMIN));
    database = house.gatehouse.app.get(Database);
    const outbound = house.gatehouse.app.get<Outbound>(OUTBOUND);
    const real = outbound.send.bind(outbound);
    vi.spyOn(outbound, 'send').mockImplementation(async (target, request) => {
      if (request?.trust !== 'stranger') return real(target, request);
      const answer = documents.get(target.href);
      if (!answer) throw new OutboundFailed('unreachable', 'nobody there');
      return answer();
    });
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });
  afterEach(() => {
    house.github.mend();
    house.github.denies = false;
  });

  const newPerson = (more: Partial<ReturnType<typeof octocat>> = {}): void => {
    house.github.person = { ...octocat(), id: people++, ...more };
  };
  const register = (metadata: Record<string, unknown> = {}) =>
    TestClient.register(house.gatehouse.url, { client_name: `Client ${++serial}`, ...metadata });
  const published = (more: Record<string, unknown> = {}): TestClient => {
    const id = `https://docs.example/client-${++serial}.json`;
    const body = { client_id: id, client_name: 'Document Client', redirect_uris: [CALLBACK], ...more };
    const headers = new Headers({ 'content-type': 'application/json' });
    documents.set(id, () => ({ status: 200, headers, text: JSON.stringify(body) }));
    return TestClient.known(house.gatehouse.url, id);
  };
  const setStatus = async ({ id }: { id: string }, status: 'pending' | 'blocked') => {
    const ifMatch = await etagOf(admin.getClient({ path: { id } }));
    await done(admin.changeClient({ path: { id }, headers: { 'If-Match': ifMatch }, body: { status } }));
  };
  /** As far as the code, not redeemed. */
  const approve = async (client: TestClient): Promise<{ browser: Browser; code: string }> => {
    const browser = client.browser();
    newPerson();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    return { browser, code: browser.stoppedAt.searchParams.get('code')! };
  };
  const press = async (client: TestClient): Promise<Seen> => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    return browser.press('provider=github');
  };
  const stepsOf = (flow: { steps: { step: string; outcome: string }[] }) =>
    flow.steps.map(({ step, outcome }) => (outcome === 'ok' ? step : `${step} ${outcome}`));
  const completed = async (known: TestClient | (() => Promise<TestClient>)) => {
    newPerson();
    await fetch(`${house.gatehouse.url}/.well-known/oauth-protected-resource`);
    const client = typeof known === 'function' ? await known() : known;
    const { accessToken } = await signIn(client);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(200);
    await house.gatehouse.app.get(Usage).flush();
    const flows = await everything((at) => admin.listFlows({ query: { client: client.id, ...at } }));
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ outcome: 'done', failed_check: null, mend: null });
    return flows[0]!;
  };
  const WALK = ['authorize', 'upstream', 'callback', 'consent', 'token', 'first-call'];

  it('U5: a complete sign-in of a client that registers leaves every step', async () => {
    expect(stepsOf(await completed(register))).toEqual(['discovery', 'registration', ...WALK]);
  });

  it('U5: and of a client with a metadata document: its host, how it was read and how long that took', async () => {
    const client = published();
    const flow = await completed(client);
    expect(stepsOf(flow)).toEqual(['discovery', 'document', ...WALK]);
    expect(flow.steps[1]!.detail).toEqual({ host: 'docs.example', from: 'fetched', ms: expect.any(Number) });
    expect(flow.recognised).toBeNull();
    await approve(client);
    const second = await firstOf(admin.listFlows({ query: { client: client.id, outcome: 'open' } }));
    expect(second.steps.find(({ step }) => step === 'document')!.detail).toMatchObject({
      from: 'cache',
      ms: 0,
    });
  });

  it('R7, U5: a document whose host is down now says so in the trace, and the sign-in goes on', async () => {
    const vendor = TestClient.known(
      house.gatehouse.url,
      'https://claude.ai/oauth/claude-code-client-metadata',
      'http://localhost:4321/callback',
    );
    newPerson();
    const { browser } = await signIn(vendor);
    const flow = await firstOf(admin.listFlows({ query: { client: vendor.id } }));
    expect(flow.recognised).toBe('Claude Code');
    expect(flow.steps[0]).toMatchObject({ step: 'document', outcome: 'ok', detail: { from: 'built-in' } });

    await browser.open(vendor.authorizeUrl());
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
    const silent = await firstOf(admin.listFlows({ query: { client: vendor.id, outcome: 'open' } }));
    expect(stepsOf(silent)).toEqual(['document', 'authorize', 'consent']);
    expect(silent.steps[2]!.detail).toEqual({ remembered: true });
    expect((await vendor.redeem(browser.stoppedAt.searchParams.get('code')!)).status).toBe(200);
    const done = await firstOf(admin.listFlows({ query: { reference: silent.reference } }));
    expect(stepsOf(done)).toEqual(['document', 'authorize', 'consent', 'token']);
  });

  const failures: Failure[] = [
    {
      name: 'a redirect URI that is not registered',
      step: 'authorize',
      check: 'redirect-uri',
      mend: 'not one the client registered',
      fail: async () => {
        const client = await register();
        return client.browser().open(client.authorizeUrl({ redirect_uri: 'https://elsewhere.example/cb' }));
      },
    },
    {
      name: 'a client that is not known (any more)',
      step: 'authorize',
      check: 'unknown-client',
      mend: 'Remove the server from the client',
      fail: async () => {
        const client = TestClient.known(house.gatehouse.url, 'forgotten');
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'another resource than this server’s, told to the client itself',
      step: 'authorize',
      check: 'resource',
      mend: 'MCP URL',
      fail: async () => {
        const client = await register();
        await client.browser().open(client.authorizeUrl({ resource: 'https://other.example/mcp' }));
        return client.id;
      },
    },
    {
      name: 'no PKCE, held back from a client that nobody has vouched for',
      step: 'authorize',
      check: 'pkce',
      mend: 'PKCE',
      fail: async () => {
        const client = await register({ redirect_uris: [WEB_CALLBACK] });
        const query = { code_challenge: undefined, code_challenge_method: undefined };
        return client.browser().open(client.authorizeUrl(query));
      },
    },
    {
      name: 'prompt=none without anybody signed in',
      step: 'authorize',
      check: 'prompt-none',
      mend: 'prompt=none',
      fail: async () => {
        const client = await register();
        await client.browser().open(client.authorizeUrl({ prompt: 'none' }));
        return client.id;
      },
    },
    {
      name: 'a client that waits for approval',
      step: 'consent',
      check: 'client-pending',
      mend: 'set its status to active',
      fail: async () => {
        const client = await register();
        await setStatus(client, 'pending');
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'a client that is blocked',
      step: 'authorize',
      check: 'client-blocked',
      mend: 'An administrator blocked this client',
      detail: { by: 'admin-token' },
      fail: async () => {
        const client = await register();
        await setStatus(client, 'blocked');
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'a client that is blocked while the person reads the page',
      step: 'consent',
      check: 'client-blocked',
      mend: 'An administrator blocked this client',
      fail: async () => {
        const client = await register();
        const browser = client.browser();
        await browser.open(client.authorizeUrl());
        await setStatus(client, 'blocked');
        return browser.press('provider=github');
      },
    },
    {
      name: 'a document client that is blocked',
      step: 'authorize',
      check: 'client-blocked',
      mend: 'An administrator blocked this client',
      detail: { by: 'admin-token' },
      fail: async () => {
        const client = published();
        await approve(client);
        await setStatus(client, 'blocked');
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'a document whose host cannot be reached',
      step: 'document',
      check: 'document-unreachable',
      mend: 'this server may reach that host',
      detail: { host: 'down.example', why: 'its host cannot be reached', ms: expect.any(Number) },
      fail: async () => {
        const client = TestClient.known(house.gatehouse.url, 'https://down.example/client.json');
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'a document that names another client_id',
      step: 'document',
      check: 'document-client-id',
      mend: 'exactly the address',
      detail: { host: 'docs.example', why: 'it names https://docs.example/moved.json as its client_id' },
      fail: async () => {
        const client = published({ client_id: 'https://docs.example/moved.json' });
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'a document with a hostile redirect URI',
      step: 'document',
      check: 'document-invalid',
      mend: 'must correct it',
      fail: async () => {
        const client = published({ redirect_uris: ['javascript:alert(1)'] });
        return client.browser().open(client.authorizeUrl());
      },
    },
    {
      name: 'the person says no on our page',
      step: 'consent',
      check: 'consent-denied',
      mend: 'did not approve',
      fail: async () => {
        const client = await register();
        const browser = client.browser();
        await browser.open(client.authorizeUrl());
        await browser.press('decision=deny');
        return client.id;
      },
    },
    {
      name: 'the person says no at the provider',
      step: 'callback',
      check: 'upstream-denied',
      mend: 'refused the sign-in',
      fail: async () => {
        const client = await register();
        house.github.denies = true;
        await press(client);
        return client.id;
      },
    },
    {
      name: 'the provider is down',
      step: 'callback',
      check: 'upstream-unavailable',
      outcome: 'failed',
      mend: 'this server reaches it',
      fail: async () => {
        const client = await register();
        house.github.fault('GET /user', { status: 500, body: 'oops' });
        await press(client);
        return client.id;
      },
    },
    {
      name: 'the provider refuses our client secret',
      step: 'callback',
      check: 'upstream-configuration',
      outcome: 'failed',
      mend: 'callback URL that the provider list shows',
      fail: async () => {
        const client = await register();
        const body = { error: 'incorrect_client_credentials' };
        house.github.fault('POST /login/oauth/access_token', { status: 200, body });
        await press(client);
        return client.id;
      },
    },
    {
      name: 'no allow rule admits the account',
      step: 'callback',
      check: 'not-admitted',
      mend: 'GATEHOUSE_ALLOW',
      fail: async () => {
        newPerson({ organizations: [] });
        return press(await register());
      },
    },
    {
      name: 'the person is blocked',
      step: 'callback',
      check: 'user-blocked',
      mend: 'An administrator blocked this person',
      detail: { by: 'admin-token' },
      fail: async () => {
        const client = await register();
        newPerson();
        await signIn(client);
        const grant = await firstOf(admin.listGrants({ query: { client: client.id } }));
        const { id } = grant.user;
        const ifMatch = await etagOf(admin.getUser({ path: { id } }));
        await done(admin.changeUser({ path: { id }, headers: { 'If-Match': ifMatch }, body: { status: 'blocked' } }));
        return press(client);
      },
    },
    {
      name: 'the callback comes in another browser',
      step: 'callback',
      check: 'other-browser',
      outcome: 'failed',
      mend: 'another browser',
      fail: async () => {
        const client = await register();
        const page = await client.browser().open(client.authorizeUrl());
        expect(page.status).toBe(200);
        const browser = client.browser();
        await browser.open(client.authorizeUrl());
        house.github.asksPerson = true;
        const upstream = await browser.press('provider=github').finally(() => (house.github.asksPerson = false));
        const back = await client.browser().step(upstream.url);
        return client.browser().open(back);
      },
    },
    {
      name: 'a callback that nobody asked for',
      step: 'callback',
      check: 'request-expired',
      mend: 'Start again',
      fail: async () =>
        (await register()).browser().open(`${house.gatehouse.url}/callback/github?code=x&state=planted`),
    },
    {
      name: 'a page whose sign-in is over',
      step: 'consent',
      check: 'request-expired',
      mend: 'Start again',
      fail: async () => (await register()).browser().open(`${house.gatehouse.url}/login/long-gone`),
    },
    {
      name: 'a wrong PKCE verifier',
      step: 'token',
      check: 'pkce',
      mend: 'verifier',
      fail: async () => {
        const client = await register();
        const { code } = await approve(client);
        const answer = await client.redeem(code, { code_verifier: 'w'.repeat(43) });
        expect(answer.body.error).toBe('invalid_grant');
        return client.id;
      },
    },
    {
      name: 'a code that comes too late',
      step: 'token',
      check: 'code-expired',
      mend: 'codes live for a minute',
      fail: async () => {
        const client = await register();
        const { code } = await approve(client);
        const idHash = sha256(code);
        const row = (await database.repository(TokenRow).findOneBy({ idHash }))!;
        const payload = { ...row.payload, exp: Math.floor(Date.now() / 1000) - 100 };
        await database.commit([database.update(TokenRow, { payload }, { idHash })]);
        expect((await client.redeem(code)).body.error).toBe('invalid_grant');
        return client.id;
      },
    },
    {
      name: 'a code that comes twice',
      step: 'token',
      check: 'code-expired',
      mend: 'work once',
      fail: async () => {
        const client = await register();
        const { code } = await approve(client);
        expect((await client.redeem(code)).status).toBe(200);
        expect((await client.redeem(code)).body.error).toBe('invalid_grant');
        return client.id;
      },
    },
    {
      name: 'a code redeemed with another redirect URI',
      step: 'token',
      check: 'redirect-uri-changed',
      mend: 'must send the same',
      fail: async () => {
        const client = await register();
        const { code } = await approve(client);
        await client.redeem(code, { redirect_uri: 'http://127.0.0.1:19123/else' });
        return client.id;
      },
    },
  ];

  it.each(failures)('U5: $name: step $step, check $check, and how to mend it', async (failure) => {
    newPerson();
    const seen = await failure.fail();
    const query =
      typeof seen === 'string'
        ? { client: seen }
        : { reference: /reference ([0-9a-f]{12})/i.exec(readable(seen))?.[1] ?? `none on: ${readable(seen)}` };
    const flows = await everything((at) => admin.listFlows({ query: { ...query, ...at } }));
    expect(flows).toHaveLength(1);
    const flow = flows[0]!;
    expect(flow).toMatchObject({ outcome: failure.outcome ?? 'refused', failed_check: failure.check });
    expect(flow.mend).toContain(failure.mend);
    const failed = flow.steps.filter(({ outcome }) => outcome !== 'ok');
    expect(failed).toMatchObject([{ step: failure.step, failed_check: failure.check, mend: flow.mend }]);
    expect(failed[0]!.detail ?? {}).toMatchObject(failure.detail ?? {});
    const events = await everything((at) => admin.listEvents({ query: { reference: flow.reference, ...at } }));
    expect(events.filter(({ outcome }) => outcome !== 'ok')).toMatchObject([{ ip: '127.0.0.1' }]);
  });

  it('a sign-in that ended well stays so when its page is loaded once more, by the reference that this page shows', async () => {
    const client = await register();
    const { browser, code } = await approve(client);
    expect((await client.redeem(code)).status).toBe(200);
    const page = browser.seen.find(({ url }) => url.pathname.startsWith('/login/'))!;
    const again = await browser.open(page.url);
    const reference = /reference ([0-9a-f]{12})/i.exec(readable(again))![1]!;
    const flow = await firstOf(admin.listFlows({ query: { client: client.id } }));
    expect(flow).toMatchObject({ reference, outcome: 'done', failed_check: null });
    expect(stepsOf(flow).slice(-2)).toEqual(['token', 'consent refused']);
  });

  it('traces are kept for seven days, and 100,000 of them at most; their steps go with them', async () => {
    const now = Date.now();
    const day = 86_400_000;
    const purge = house.gatehouse.app.get(Purge);
    const at = (days: number) => timeIdFloor(now - days * day);
    for (const [reference, days] of [
      ['young', 6.9],
      ['old', 7.1],
    ] as const)
      await database.commit([
        sql`INSERT INTO flow (id, reference, outcome, updated_at) VALUES (${at(days)}, ${reference}, 'open', ${now})`,
        sql`INSERT INTO flow_step (id, reference, at, step, outcome) VALUES (${at(days)}, ${reference}, ${now}, 'authorize', 'ok')`,
      ]);
    const kept = async () =>
      (
        await database.rows<{ reference: string }>(
          sql`SELECT reference FROM flow_step WHERE reference IN ('young', 'old')`,
        )
      ).map(({ reference }) => reference);
    await purge.run();
    expect(await kept()).toEqual(['young']);
    await database.commit([
      sql`INSERT INTO flow (id, reference, outcome, updated_at)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${FLOWS_KEPT})
        SELECT CAST(${timeIdFloor(now + day)} AS text) || CAST(1000000 + i AS text), CAST(${'many-'} AS text) || CAST(i AS text), 'open', ${now} FROM n`,
    ]);
    for (let round = 0; round < 3; round++) await purge.run();
    const row = await database.row<{ n: number }>(sql`SELECT COUNT(*) AS n FROM flow`);
    expect(Number(row?.n)).toBe(FLOWS_KEPT);
    expect(await kept()).toEqual([]);
  });
});
