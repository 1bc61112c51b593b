import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/providers/contract.js';
import { Users } from '../../src/users/users.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, etagOf, everything, faults, firstOf, statusOf, unfit } from '../admin-client.js';
import type { UserChange } from '../admin-api/types.gen.js';
import { databases, type TestDatabase } from '../databases.js';
import type { RunningGatehouse } from '../gatehouse.js';
import { startWithGitHub, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';

function cursorOf(list: string, key: string): string {
  const checksum = createHash('sha256').update(`cursor:${list}:${key}`).digest('base64url').slice(0, 8);
  return Buffer.from(`${checksum}${key}`).toString('base64url');
}

describe.each(databases())('people and personal tokens in the admin API, on $name', (kind) => {
  let place: TestDatabase;
  let running: WithGitHub;
  let gatehouse: RunningGatehouse;
  let users: Users;
  let admin: AdminApi;

  beforeAll(async () => {
    place = await kind.create();
    running = await startWithGitHub({
      env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_ADMIN_TOKEN: ADMIN },
    });
    gatehouse = running.gatehouse;
    users = gatehouse.app.get(Users, { strict: false });
    ({ api: admin } = await Administration.of(gatehouse.url, ADMIN));
  });
  afterAll(async () => {
    await running.close();
    await place.drop();
  });

  const person = (subject: string, more: Partial<Identity> = {}): Promise<{ id: string }> =>
    users.signIn({
      provider: 'github',
      subject,
      email: `${subject}@example.com`,
      username: subject,
      name: `Person ${subject}`,
      claims: {},
      ...more,
    });
  const callMcp = (token: string): Promise<Response> =>
    fetch(gatehouse.mcpUrl, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-06-18',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }),
    });

  it('T10: lists people newest first, filters them, and shows their accounts', async () => {
    const mona = await person('mona');
    const google = await person('gina', { provider: 'google' });
    const items = await everything((at) => admin.listUsers({ query: { limit: 1, ...at } }));
    expect(items.map(({ id }) => id)).toEqual([google.id, mona.id]);
    expect(items[1]).toMatchObject({
      name: 'Person mona',
      email: 'mona@example.com',
      status: 'active',
      roles: [],
      identities: [{ provider: 'github', subject: 'mona', username: 'mona' }],
    });
    const ids = async (query: Record<string, string>): Promise<string[]> =>
      (await everything((at) => admin.listUsers({ query: { ...query, ...at } }))).map(({ id }) => id);
    expect(await ids({ email: 'MONA@example.com' })).toEqual([mona.id]);
    expect(await ids({ provider: 'google' })).toEqual([google.id]);
    expect(await ids({ q: 'person gi' })).toEqual([google.id]);
    expect(await ids({ q: '%' })).toEqual([]);
    expect(await ids({ role: 'admin' })).toEqual([]);
    expect(await ids({ status: 'blocked' })).toEqual([]);
  });

  it('pages stay whole while people are added and erased', async () => {
    for (let i = 0; i < 7; i++) await person(`paged-${i}`);
    const first = await done(admin.listUsers({ query: { limit: 3, q: 'paged' } }));
    await person('paged-late');
    await admin.eraseUser({ path: { id: first.items[0]!.id } });
    const rest = await everything((at) =>
      admin.listUsers({ query: { limit: 2, q: 'paged', cursor: first.next_cursor!, ...at } }),
    );
    const seen = [...first.items, ...rest].map(({ name }) => name as string);
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => `Person paged-${i}`));
  });

  it('updates want If-Match: missing is 428, outdated 412, and the change carries a new ETag', async () => {
    const { id } = await person('versioned');
    const etag = await etagOf(admin.getUser({ path: { id } }));
    const change = (ifMatch: string | undefined, body: UserChange) =>
      admin.changeUser({
        path: { id },
        body,
        headers: ifMatch === undefined ? unfit({}) : { 'If-Match': ifMatch },
      });
    expect(await statusOf(change(undefined, { roles: ['admin'] }))).toBe(428);
    expect(await statusOf(change('"other"', { roles: ['admin'] }))).toBe(412);
    const changed = await change(etag, { roles: ['editor', 'admin', 'admin'] });
    expect(changed.data!.roles).toEqual(['admin', 'editor']);
    expect(await statusOf(change(etag, { roles: [] }))).toBe(412);
    expect((await done(change(changed.response.headers.get('etag')!, { roles: [] }))).roles).toEqual([]);
    expect(await statusOf(change('*', { status: 'active' }))).toBe(200);
  });

  it('of two administrators who change the same version at once, one is told', async () => {
    const { id } = await person('contended');
    const etag = await etagOf(admin.getUser({ path: { id } }));
    const roles = ['editor', 'viewer', 'author', 'tester'];
    const answers = await Promise.all(
      roles.map((role) => admin.changeUser({ path: { id }, headers: { 'If-Match': etag }, body: { roles: [role] } })),
    );
    expect(answers.map(({ response }) => response.status).toSorted((a, b) => a - b)).toEqual([200, 412, 412, 412]);
  });

  it('a personal token is shown once, works at /mcp, and shows its last use', async () => {
    const { id } = await person('tokened');
    const made = await admin.createToken({
      body: { name: 'ci', user: id, scopes: ['basic'], expires_at: '2099-01-01T00:00:00Z' },
    });
    expect(made.response.status).toBe(201);
    expect(made.data!.token).toMatch(/^gth_pat_/);
    expect(made.data).toMatchObject({ name: 'ci', user: id, scopes: ['basic'], status: 'active' });
    expect(made.response.headers.get('location')).toBe(`/admin/v1/tokens/${made.data!.id}`);
    const answer = await callMcp(made.data!.token);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain(id);
    const listed = await firstOf(admin.listUserTokens({ path: { id } }));
    expect(JSON.stringify(listed)).not.toContain(made.data!.token.slice(12));
    const one = await done(admin.getToken({ path: { id: made.data!.id } }));
    expect(one).toEqual(listed);
    expect(await statusOf(admin.revokeToken({ path: { id: made.data!.id } }))).toBe(204);
    expect((await callMcp(made.data!.token)).status).toBe(401);
    expect((await done(admin.getToken({ path: { id: made.data!.id } }))).status).toBe('revoked');
    expect((await everything((at) => admin.listTokens({ query: { user: id, status: 'active', ...at } }))).length).toBe(
      0,
    );
    expect(
      (await everything((at) => admin.listTokens({ query: { status: 'revoked', name: 'ci', ...at } }))).length,
    ).toBe(1);
  });

  it('a token for nobody, in the past, with a bad scope or with more than it may say is refused', async () => {
    const faultsOf = (body: unknown) => faults(admin.createToken({ body: unfit(body) }));
    expect(await faultsOf({ name: 'x', user: 'nobody' })).toEqual(['body.user']);
    expect(await faultsOf({ name: 'x', expires_at: 1000 })).toEqual(['body.expires_at']);
    expect(await faultsOf({ name: 'x', scopes: ['a b'] })).toEqual(['body.scopes.0']);
    expect(await faultsOf({ name: 'x', id: 'mine', hash: 'h' })).toEqual(['body.id', 'body.hash']);
    expect(await faultsOf({ scopes: [] })).toEqual(['body.name']);
    expect(await faultsOf({ name: 'a\u0000b' })).toEqual(['body.name']);
  });

  it('a blocked person’s next request is 401, and the Events say who blocked them', async () => {
    const { id } = await person('blocked-one');
    const token = await done(admin.createToken({ body: { name: 'laptop', user: id } }));
    expect((await callMcp(token.token)).status).toBe(200);
    const etag = await etagOf(admin.getUser({ path: { id } }));
    const blocked = await admin.changeUser({
      path: { id },
      headers: { 'If-Match': etag },
      body: { status: 'blocked' },
    });
    expect(blocked.data!.status).toBe('blocked');
    expect((await callMcp(token.token)).status).toBe(401);
    expect(
      (await everything((at) => admin.listUsers({ query: { status: 'blocked', ...at } }))).map((user) => user.id),
    ).toEqual([id]);
    const event = await firstOf(admin.listUserEvents({ path: { id }, query: { type: 'user.blocked' } }));
    expect(event).toMatchObject({ actor: 'admin-token', user: id, outcome: 'ok', ip: '127.0.0.1' });
    const again = await etagOf(admin.getUser({ path: { id } }));
    await admin.changeUser({ path: { id }, headers: { 'If-Match': again }, body: { status: 'active' } });
    expect((await callMcp(token.token)).status).toBe(401);
  });

  it('erasing a person leaves the bare id in the Events and nothing else', async () => {
    const { id } = await person('erased-one');
    const token = await done(admin.createToken({ body: { name: 'secret hobby', user: id } }));
    expect((await callMcp(token.token)).status).toBe(200);
    expect(await statusOf(admin.eraseUser({ path: { id } }))).toBe(204);
    expect((await callMcp(token.token)).status).toBe(401);
    expect(await statusOf(admin.getUser({ path: { id } }))).toBe(404);
    expect(await statusOf(admin.eraseUser({ path: { id } }))).toBe(404);
    expect(await statusOf(admin.listUserTokens({ path: { id } }))).toBe(404);
    expect(await statusOf(admin.getToken({ path: { id: token.id } }))).toBe(404);
    const events = await everything((at) => admin.listUserEvents({ path: { id }, query: at }));
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['user.created', 'user.erased']));
    expect(JSON.stringify(events)).not.toMatch(/erased-one|secret hobby/);
  });

  it.each([
    ['limit', '0'],
    ['limit', '201'],
    ['limit', '999999999999'],
    ['limit', '1e2'],
    ['limit', 'ten'],
    ['limit', ''],
    ['cursor', 'nonsense'],
    ['cursor', Buffer.from('["a"]').toString('base64url')],
    ['cursor', randomBytes(64).toString('base64url')],
    // The checksum is no secret: these two have the right one, and not what the list is ordered by.
    ['cursor', cursorOf('users', '[1,"a"]')],
    ['cursor', cursorOf('users', '{}')],
    ['status', 'dead'],
    ['email', 'a\u0000b'],
    ['unknown', '1'],
  ])('refuses %s=%s with a problem that names it', async (name, value) => {
    const query = new URLSearchParams({ [name]: value }).toString();
    const answer = await fetch(`${gatehouse.url}/admin/v1/users?${query}`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    expect(await answer.json()).toMatchObject({ status: 400, errors: [{ at: `query.${name}` }] });
  });

  it('refuses the cursor of another list, and a parameter that comes twice', async () => {
    for (let i = 0; i < 2; i++) await admin.createToken({ body: { name: `spare-${i}` } });
    const body = await done(admin.listTokens({ query: { limit: 1 } }));
    expect(body.next_cursor).toEqual(expect.any(String));
    expect(await statusOf(admin.listUsers({ query: { cursor: body.next_cursor! } }))).toBe(400);
    const twice = await fetch(`${gatehouse.url}/admin/v1/users?limit=1&limit=2`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    expect(twice.status).toBe(400);
  });

  it('sec-44: no body names what is not offered: ids, e-mail, rule roles, unknown members', async () => {
    const { id } = await person('assigned');
    const ifMatch = await etagOf(admin.getUser({ path: { id } }));
    for (const body of [
      { id: 'other', roles: [] },
      { email: 'x@y.z' },
      { ruleRoles: ['admin'] },
      { status: 'active', __proto__: null, constructor: 1 },
      { roles: ['Not A Role'] },
      { roles: 'admin' },
      {},
      [],
      'text',
      null,
    ])
      expect(
        await statusOf(admin.changeUser({ path: { id }, headers: { 'If-Match': ifMatch }, body: unfit(body) })),
        JSON.stringify(body),
      ).toBe(400);
    expect(await etagOf(admin.getUser({ path: { id } }))).toBe(ifMatch);
  });

  it('answers garbage, forms and huge bodies as problems too', async () => {
    const send = async (type: string, body: string): Promise<[number, string]> => {
      const answer = await fetch(`${gatehouse.url}/admin/v1/tokens`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN}`, 'content-type': type },
        body,
      });
      return [answer.status, answer.headers.get('content-type')!.split(';')[0]!];
    };
    expect(await send('application/json', '{"name":')).toEqual([400, 'application/problem+json']);
    expect(await send('application/json', '{"__proto__":{"name":"x"}}')).toEqual([400, 'application/problem+json']);
    expect(await send('application/x-www-form-urlencoded', 'name=x')).toEqual([415, 'application/problem+json']);
    expect(await send('text/plain', 'name')).toEqual([415, 'application/problem+json']);
    const huge = JSON.stringify({ name: 'x'.repeat(70_000) });
    expect(await send('application/json', huge)).toEqual([413, 'application/problem+json']);
  });
});
