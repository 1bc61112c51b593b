import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Usage } from '../../src/access/usage.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { octocat } from '../../src/testing/fake-github.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import {
  Administration,
  done,
  etagOf,
  everything,
  faults,
  firstOf,
  refusal,
  statusOf,
  unfit,
} from '../admin-client.js';
import type { ClientChange, ClientWish } from '../admin-api/types.gen.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

describe.each(databases())('clients and Grants in the admin API, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let admin: AdminApi;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
        GATEHOUSE_REGISTRATION: 'approval',
        GATEHOUSE_DEFAULT_SCOPES: 'mcp,notes',
      },
    });
    ({ api: admin } = await Administration.of(house.gatehouse.url, ADMIN));
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  let people = 1000;
  const preregistered = async (body: Partial<ClientWish> = {}): Promise<TestClient> => {
    const { id } = await done(admin.createClient({ body: { name: 'Desk', redirect_uris: [CALLBACK], ...body } }));
    return TestClient.known(house.gatehouse.url, id);
  };
  const newPerson = (): void => {
    const id = people++;
    const emails = [{ email: `p${id}@github.example`, primary: true, verified: true, visibility: null }];
    house.github.person = { ...octocat(), id, login: `p${id}`, emails };
  };
  const calls = async (token: string): Promise<number> =>
    (await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status;
  const change = async (id: string, body: ClientChange) => {
    const ifMatch = await etagOf(admin.getClient({ path: { id } }));
    return done(admin.changeClient({ path: { id }, headers: { 'If-Match': ifMatch }, body }));
  };

  it('a pre-registered client signs people in at once; its secret is shown once', async () => {
    const made = await admin.createClient({
      body: {
        name: 'Build server',
        redirect_uris: ['https://ci.example.com/callback'],
        token_endpoint_auth_method: 'client_secret_basic',
        note: 'ordered by Ada',
      },
    });
    expect(made.data).toMatchObject({ status: 'active', source: 'manual', trusted: true, note: 'ordered by Ada' });
    expect(made.data!.client_secret).toMatch(/^[\w-]{40,}$/);
    expect(made.response.headers.get('location')).toBe(`/admin/v1/clients/${made.data!.id}`);
    const read = await admin.getClient({ path: { id: made.data!.id } });
    expect(JSON.stringify(read.data)).not.toContain('secret":');
    expect(read.response.headers.get('etag')).toBe(made.response.headers.get('etag'));
    const { client_secret: secret, ...rest } = made.data!;
    expect(read.data).toEqual(rest);
    const listed = await everything((at) => admin.listClients({ query: at }));
    expect(JSON.stringify(listed)).not.toContain(secret);
    newPerson();
    expect(await calls((await signIn(await preregistered())).accessToken)).toBe(200);
  });

  it('bad redirect URIs, unknown members and chosen ids are refused', async () => {
    const faultsOf = (body: unknown) => faults(admin.createClient({ body: unfit(body) }));
    const name = 'x';
    expect(await faultsOf({ name, redirect_uris: ['javascript:alert(1)'] })).toEqual(['body.redirect_uris']);
    expect(await faultsOf({ name, redirect_uris: ['http://evil.example/cb'] })).toEqual(['body.redirect_uris']);
    expect(await faultsOf({ name, redirect_uris: [] })).toEqual(['body.redirect_uris']);
    expect(await faultsOf({ name, redirect_uris: [CALLBACK], id: 'mine' })).toEqual(['body.id']);
    expect(await faultsOf({ name, redirect_uris: [CALLBACK], trusted: true, source: 'dcr' })).toEqual([
      'body.trusted',
      'body.source',
    ]);
    expect(await faultsOf({ name, redirect_uris: [CALLBACK], token_endpoint_auth_method: 'private_key_jwt' })).toEqual([
      'body',
    ]);
  });

  it('a client that registered itself waits for approval, and works when it has it', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Waiting' });
    const pending = await firstOf(admin.listClients({ query: { status: 'pending', source: 'dcr', q: 'wait' } }));
    expect(pending).toMatchObject({ id: client.id, name: 'Waiting', trusted: false });
    newPerson();
    await expect(signIn(client)).rejects.toThrow();
    expect(await change(client.id, { status: 'active' })).toMatchObject({ status: 'active', trusted: true });
    expect(await calls((await signIn(client)).accessToken)).toBe(200);
    const event = await firstOf(admin.listEvents({ query: { client: client.id, type: 'client.approved' } }));
    expect(event.actor).toBe('admin-token');
  });

  it('blocking a client cuts off its tokens at once; removing it ends its Grants', async () => {
    const client = await preregistered();
    newPerson();
    const { accessToken, refreshToken } = await signIn(client);
    expect(await calls(accessToken)).toBe(200);
    expect((await change(client.id, { status: 'blocked' })).status).toBe('blocked');
    expect(await calls(accessToken)).toBe(401);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    expect((await change(client.id, { status: 'active' })).status).toBe('active');
    expect(await statusOf(admin.removeClient({ path: { id: client.id } }))).toBe(204);
    expect(await calls(accessToken)).toBe(401);
    expect(await statusOf(admin.removeClient({ path: { id: client.id } }))).toBe(404);
    const grant = await firstOf(admin.listGrants({ query: { client: client.id } }));
    expect(grant).toMatchObject({ status: 'revoked', client: { id: client.id, name: null } });
    const ends = await everything((at) =>
      admin.listEvents({ query: { client: client.id, type: 'grant.revoked', ...at } }),
    );
    expect(ends.map((event) => [event.grant, event.actor, event.detail])).toEqual([
      [grant.id, 'admin-token', { reason: 'client-removed' }],
    ]);
  });

  it('a client is edited by the version that was read', async () => {
    const client = await preregistered();
    const etag = await etagOf(admin.getClient({ path: { id: client.id } }));
    const edit = (ifMatch: string | undefined, body: unknown) =>
      admin.changeClient({
        path: { id: client.id },
        body: unfit(body),
        headers: ifMatch === undefined ? unfit({}) : { 'If-Match': ifMatch },
      });
    expect(await statusOf(edit(undefined, { name: 'New' }))).toBe(428);
    const edited = await edit(etag, { name: 'New', note: 'n', redirect_uris: ['https://new.example/cb'] });
    expect(edited.data).toMatchObject({ name: 'New', note: 'n', redirect_uris: ['https://new.example/cb'] });
    expect(await statusOf(edit(etag, { name: 'Newer' }))).toBe(412);
    expect(await statusOf(edit('*', { redirect_uris: ['file:///etc/passwd'] }))).toBe(400);
    expect(await statusOf(edit('*', { secret: 'x' }))).toBe(400);
    const long = `https://unknown.example/${'x'.repeat(500)}/client.json`;
    const { problem } = await refusal(admin.getClient({ path: { id: long } }));
    expect([problem.status, problem.detail]).toEqual([404, 'There is no such client.']);
  });

  it('a client gets no more scopes than an administrator allows it', async () => {
    const client = await preregistered({ scopes: ['mcp'] });
    newPerson();
    const scopesAtMcp = async (token: string): Promise<string> =>
      (await (await callTool(house.gatehouse.mcpUrl, token, 'whoami')).text()).match(/"scopes":(\[.*?\])/)![1]!;
    const { answer } = await signIn(client, { parameters: { scope: 'mcp notes' } });
    expect(answer.body.scope).toBe('mcp');
    expect((await change(client.id, { scopes: null })).scopes).toBeNull();
    const wide = await signIn(client, { parameters: { scope: 'mcp notes' } });
    expect(wide.answer.body.scope).toBe('mcp notes');
    expect(await scopesAtMcp(wide.accessToken)).toBe('["mcp","notes"]');
    await change(client.id, { scopes: ['notes'] });
    expect(await scopesAtMcp(wide.accessToken)).toBe('["notes"]');
  });

  it('RFC 9126: nor by a pushed request, however the client names itself', async () => {
    const method = 'client_secret_basic';
    const { id, client_secret: secret } = await done(
      admin.createClient({
        body: { name: 'Pusher', redirect_uris: [CALLBACK], scopes: ['mcp'], token_endpoint_auth_method: method },
      }),
    );
    const client = TestClient.known(house.gatehouse.url, id);
    const asked = client.authorizeUrl({ scope: 'mcp notes' }).searchParams;
    asked.delete('client_id');
    const credentials = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    const pushed = await fetch(`${house.gatehouse.url}/par`, {
      method: 'POST',
      headers: { authorization: credentials },
      body: asked,
    });
    if (pushed.status !== 201) console.log(await pushed.text(), house.gatehouse.logs.slice(-3));
    expect(pushed.status).toBe(201);
    const { request_uri: requestUri } = (await pushed.json()) as { request_uri: string };
    newPerson();
    const browser = client.browser();
    await browser.open(
      new URL(
        `/authorize?${new URLSearchParams({ client_id: id, request_uri: requestUri }).toString()}`,
        client.issuer,
      ),
    );
    await browser.press('provider=github');
    const code = browser.stoppedAt.searchParams.get('code')!;
    const answer = await client.redeem(code, { client_secret: secret! });
    expect([answer.status, answer.body.scope]).toEqual([200, 'mcp']);
  });

  it('T10: Grants show person, client, scopes and times; a revoked one works no more', async () => {
    const client = await preregistered();
    newPerson();
    const { accessToken, refreshToken } = await signIn(client);
    const grant = await firstOf(admin.listGrants({ query: { client: client.id, status: 'active' } }));
    expect(grant).toMatchObject({
      user: { email: `p${people - 1}@github.example`, status: 'active' },
      client: { id: client.id, name: 'Desk' },
      provider: 'github',
      scopes: ['mcp', 'notes'],
      resource: house.gatehouse.mcpUrl,
      status: 'active',
      revoked_at: null,
    });
    expect(await done(admin.getGrant({ path: { id: grant.id } }))).toEqual(grant);
    expect(
      (await everything((at) => admin.listUserGrants({ path: { id: grant.user.id }, query: at }))).map(({ id }) => id),
    ).toEqual([grant.id]);
    expect(await calls(accessToken)).toBe(200);
    expect(await statusOf(admin.revokeGrant({ path: { id: grant.id } }))).toBe(204);
    expect(await calls(accessToken)).toBe(401);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    expect(await statusOf(admin.revokeGrant({ path: { id: grant.id } }))).toBe(204);
    expect(await statusOf(admin.revokeGrant({ path: { id: 'foreign' } }))).toBe(404);
    expect((await done(admin.getGrant({ path: { id: grant.id } }))).status).toBe('revoked');
    const event = await firstOf(admin.listEvents({ query: { grant: grant.id, type: 'grant.revoked' } }));
    expect(event).toMatchObject({ actor: 'admin-token', detail: { reason: 'admin' } });
  });

  it('every living Grant that a block or an erasure ends has its Event, and those that ended before get no second one', async () => {
    const client = await preregistered();
    const another = await preregistered();
    newPerson();
    const grantOf = async (of: TestClient) => await firstOf(admin.listGrants({ query: { client: of.id } }));
    await signIn(client);
    await signIn(another);
    const [first, second] = [await grantOf(client), await grantOf(another)];
    const { id } = first.user;
    await admin.revokeGrant({ path: { id: first.id } });
    await signIn(client);
    const third = await grantOf(client);
    const block = async (status: 'active' | 'blocked') => {
      const ifMatch = await etagOf(admin.getUser({ path: { id } }));
      return admin.changeUser({ path: { id }, headers: { 'If-Match': ifMatch }, body: { status } });
    };
    const ends = async () => {
      const events = await everything((at) =>
        admin.listUserEvents({ path: { id }, query: { type: 'grant.revoked', ...at } }),
      );
      return events.map((event) => `${event.grant} ${event.actor} ${event.client}`).sort();
    };
    expect(await statusOf(block('blocked'))).toBe(200);
    const expected = [
      `${first.id} admin-token ${client.id}`,
      `${second.id} admin-token ${another.id}`,
      `${third.id} admin-token ${client.id}`,
    ].sort();
    expect(await ends()).toEqual(expected);
    await block('active');
    await signIn(another);
    const last = await grantOf(another);
    expect(await statusOf(admin.eraseUser({ path: { id } }))).toBe(204);
    expect(await ends()).toEqual([...expected, `${last.id} admin-token ${another.id}`].sort());
  });

  it('blocking a person: the Grant list shows it, and signing in again is refused', async () => {
    const client = await preregistered();
    newPerson();
    const { accessToken } = await signIn(client);
    const grant = await firstOf(admin.listGrants({ query: { client: client.id } }));
    const { id } = grant.user;
    const ifMatch = await etagOf(admin.getUser({ path: { id } }));
    await admin.changeUser({ path: { id }, headers: { 'If-Match': ifMatch }, body: { status: 'blocked' } });
    expect(await calls(accessToken)).toBe(401);
    const after = await firstOf(admin.listGrants({ query: { user: id } }));
    expect(after).toMatchObject({ status: 'revoked', user: { status: 'blocked' } });
    await expect(signIn(client)).rejects.toThrow();
  });

  it('pages of Grants stay whole while others are made and revoked', async () => {
    const client = await preregistered();
    newPerson();
    for (let i = 0; i < 5; i++) await signIn(client);
    const query = { client: client.id, limit: 2 };
    const whole = await everything((at) => admin.listGrants({ query: { ...query, limit: 200, ...at } }));
    const first = await done(admin.listGrants({ query }));
    await signIn(client);
    await admin.revokeGrant({ path: { id: first.items[0]!.id } });
    const rest = await everything((at) => admin.listGrants({ query: { ...query, cursor: first.next_cursor!, ...at } }));
    expect([...first.items, ...rest].map(({ id }) => id)).toEqual(whole.map(({ id }) => id));
  });

  it('U5: a real sign-in leaves its whole trace, and a failed one is found by the reference its page showed', async () => {
    await fetch(`${house.gatehouse.url}/.well-known/oauth-protected-resource`);
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'MCP Inspector' });
    await change(client.id, { status: 'active' });
    newPerson();
    const { accessToken } = await signIn(client);
    expect(await calls(accessToken)).toBe(200);
    await house.gatehouse.app.get(Usage, { strict: false }).flush();
    const flow = await firstOf(admin.listFlows({ query: { client: client.id } }));
    expect(flow).toMatchObject({
      recognised: 'MCP Inspector',
      provider: 'github',
      outcome: 'done',
      failed_check: null,
    });
    const steps = flow.steps.map(({ step }) => step);
    expect(steps).toEqual([
      'discovery',
      'registration',
      'authorize',
      'upstream',
      'callback',
      'consent',
      'token',
      'first-call',
    ]);
    const grant = await firstOf(admin.listGrants({ query: { client: client.id } }));
    expect([flow.user, flow.grant]).toEqual([grant.user.id, grant.id]);

    const unknown = await fetch(TestClient.known(house.gatehouse.url, 'forgotten-client').authorizeUrl(), {
      headers: { accept: 'text/html' },
    });
    const [, reference] = /([0-9a-f]{12})/.exec((await unknown.text()).replace(/sha256-\S+/g, ''))!;
    const failed = await firstOf(admin.listFlows({ query: { reference: reference! } }));
    expect(failed).toMatchObject({ client: 'forgotten-client', outcome: 'refused', failed_check: 'unknown-client' });
    expect(failed.mend).toContain('Remove the server from the client');
    const denied = await fetch(`${house.gatehouse.url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: ['javascript:alert(1)'] }),
    });
    expect(denied.status).toBe(400);
    const newest = await firstOf(admin.listFlows({ query: { outcome: 'refused' } }));
    expect(newest).toMatchObject({ failed_check: 'registration-metadata' });
  });

  it('erasing a person leaves no row of theirs but the Events', async () => {
    const client = await preregistered();
    newPerson();
    await signIn(client);
    const grant = await firstOf(admin.listGrants({ query: { client: client.id } }));
    const { id } = grant.user;
    expect(await statusOf(admin.eraseUser({ path: { id } }))).toBe(204);
    const database = house.gatehouse.app.get(Database, { strict: false });
    const tables = ['gatehouse_user', 'identity', 'oauth_grant', 'oauth_token', 'oauth_consent', 'oauth_browser'];
    for (const table of [...tables, 'upstream_token', 'personal_token', 'flow', 'admission']) {
      const rows = await database.rows({ text: [`SELECT * FROM ${table}`], values: [] });
      expect(JSON.stringify(rows), table).not.toContain(id);
      expect(JSON.stringify(rows), table).not.toContain(`p${people - 1}@github.example`);
    }
    const events = await database.rows(sql`SELECT * FROM event`);
    expect(JSON.stringify(events)).toContain(id);
    expect(JSON.stringify(events)).not.toContain(`p${people - 1}@github.example`);
  });
});
