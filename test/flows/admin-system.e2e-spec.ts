import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Flows } from '../../src/audit/flows.js';
import { Events } from '../../src/audit/events.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { Purge } from '../../src/persistence/purge.js';
import { Users } from '../../src/users/users.js';
import { timeIdFloor } from '../../src/protocol/time-id.js';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, everything, firstOf, statusOf, unfit } from '../admin-client.js';
import { databases, type TestDatabase } from '../databases.js';
import { startWithGitHub, type WithGitHub } from '../oauth-client.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
const DAY_MS = 86_400_000;

describe.each(databases())('audit, traces and the system in the admin API, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let admin: AdminApi;
  let events: Events;
  let database: Database;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_PROVIDERS: 'github,static-token,jwt',
        GATEHOUSE_JWT_SECRET: 'jwt-secret-that-must-not-be-shown-anywhere',
        GATEHOUSE_JWT_ISSUER: 'https://issuer.example',
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_ADMIN_TOKEN: ADMIN,
      },
    });
    ({ api: admin } = await Administration.of(house.gatehouse.url, ADMIN));
    events = house.gatehouse.app.get(Events, { strict: false });
    database = house.gatehouse.app.get(Database, { strict: false });
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  const exported = async (query: { user?: string }): Promise<Response> => {
    const headers = { Accept: 'application/x-ndjson' };
    return (await admin.listEvents({ query, headers, parseAs: 'stream' })).response;
  };

  it('Events are filtered by what their table shows', async () => {
    await events.write({ type: 'test.one', userId: 'u1', clientId: 'c1', grantId: 'g1', reference: 'REF1' });
    await events.write({ type: 'test.two', outcome: 'refused', userId: 'u1', provider: 'github', actor: 'u1' });
    const types = async (query: Record<string, string>): Promise<string[]> =>
      (await everything((at) => admin.listEvents({ query: { ...query, ...at } }))).map(({ type }) => type);
    expect(await types({ user: 'u1' })).toEqual(['test.two', 'test.one']);
    for (const query of [{ client: 'c1' }, { grant: 'g1' }, { reference: 'REF1' }, { type: 'test.one' }])
      expect(await types(query as Record<string, string>)).toEqual(['test.one']);
    for (const query of [{ outcome: 'refused', user: 'u1' }, { provider: 'github', user: 'u1' }, { actor: 'u1' }])
      expect(await types(query as Record<string, string>)).toEqual(['test.two']);
    const tomorrow = new Date(Date.now() + DAY_MS).toISOString();
    const yesterday = String(Math.floor(Date.now() / 1000) - 86_400);
    expect(await types({ user: 'u1', since: yesterday, until: tomorrow })).toHaveLength(2);
    expect(await types({ user: 'u1', until: yesterday })).toEqual([]);
    expect(await types({ user: 'u1', since: tomorrow.slice(0, 10) })).toEqual([]);
    for (const since of ['yesterday', '-1', '2024-13-01', '99999999999999'])
      expect(await statusOf(admin.listEvents({ query: { since } })), since).toBe(400);
  });

  it('the export streams every Event that fits, oldest first, one a line, and leaves an Event itself', async () => {
    const rows = 1300;
    await database.commit(
      Array.from({ length: rows }, (_, i) => events.record({ type: 'test.exported', userId: 'u2', detail: { i } })),
    );
    const answer = await exported({ user: 'u2' });
    expect(answer.headers.get('content-type')).toMatch('application/x-ndjson');
    const lines = (await answer.text()).trimEnd().split('\n');
    expect(lines).toHaveLength(rows);
    expect(lines.map((line) => (JSON.parse(line) as { detail: { i: number } }).detail.i)).toEqual(
      Array.from({ length: rows }, (_, i) => i),
    );
    const event = await firstOf(admin.listEvents({ query: { type: 'events.exported' } }));
    expect(event).toMatchObject({ actor: 'admin-token', detail: { user: 'u2' } });
  });

  it('an export whose reader goes away stops reading', async () => {
    const answer = await exported({});
    await answer.body!.getReader().cancel();
    expect(await statusOf(admin.getStats())).toBe(200);
  });

  it('the purge forgets old Events and traces, and only those', async () => {
    const at = Date.now() - 366 * DAY_MS;
    await database.commit([
      sql`INSERT INTO event (id, at, type, outcome) VALUES (${timeIdFloor(at)}, ${at}, 'test.ancient', 'ok')`,
      sql`INSERT INTO flow (id, reference, outcome, updated_at) VALUES (${timeIdFloor(Date.now() - 8 * DAY_MS)}, 'ANCIENT', 'open', ${at})`,
      sql`INSERT INTO flow_step (id, reference, at, step, outcome) VALUES (${timeIdFloor(Date.now() - 8 * DAY_MS)}, 'ANCIENT', ${at}, 'authorize', 'ok')`,
    ]);
    expect(await everything((at) => admin.listEvents({ query: { type: 'test.ancient', ...at } }))).toHaveLength(1);
    const deleted = await house.gatehouse.app.get(Purge, { strict: false }).run();
    expect(deleted).toMatchObject({ events: 1, flows: 1, 'flow steps': 1 });
    expect(await everything((at) => admin.listEvents({ query: { type: 'test.ancient', ...at } }))).toEqual([]);
    expect(await everything((at) => admin.listEvents({ query: { type: 'test.one', ...at } }))).toHaveLength(1);
  });

  it('U5: a trace tells step by step how far a sign-in came, which check failed and how to mend it', async () => {
    const flows = house.gatehouse.app.get(Flows, { strict: false });
    const traits = {
      name: 'Cursor',
      redirectUris: ['cursor://anysphere.cursor-mcp/oauth/callback'],
      userAgent: 'node',
    };
    const users = house.gatehouse.app.get(Users, { strict: false });
    const u9 = (await users.signIn({ provider: 'github', subject: '9', claims: {} })).id;
    flows.early({ step: 'discovery', ip: '192.0.2.1', traits: { userAgent: 'node' } });
    flows.early({ step: 'registration', clientId: 'cursor-1', ip: '192.0.2.1', traits });
    flows.step('TRACE-1', { step: 'authorize', clientId: 'cursor-1', ip: '192.0.2.2', traits });
    flows.step('TRACE-1', { step: 'upstream', provider: 'github' });
    flows.step('TRACE-1', {
      step: 'callback',
      outcome: 'refused',
      check: 'not-admitted',
      userId: u9,
      detail: { account: 'mona' },
    });
    const flow = await firstOf(admin.listFlows({ query: { reference: 'TRACE-1' } }));
    expect(flow).toMatchObject({
      client: 'cursor-1',
      recognised: 'Cursor',
      provider: 'github',
      user: u9,
      outcome: 'refused',
      failed_check: 'not-admitted',
    });
    expect(flow.mend).toContain('GATEHOUSE_ALLOW');
    expect(flow.steps.map(({ step }) => step)).toEqual([
      'discovery',
      'registration',
      'authorize',
      'upstream',
      'callback',
    ]);
    flows.step('TRACE-1', { step: 'callback', grantId: 'grant-9' });
    flows.stepOfGrant('grant-9', { step: 'token' });
    flows.stepOfGrant('unknown-grant', { step: 'token' });
    for (let i = 0; i < 80; i++) flows.step('TRACE-2', { step: 'authorize', clientId: 'cursor-1' });
    const done = await everything((at) => admin.listFlows({ query: { client: 'cursor-1', outcome: 'done', ...at } }));
    expect(done).toMatchObject([{ reference: 'TRACE-1', grant: 'grant-9', failed_check: null, mend: null }]);
    const capped = await firstOf(admin.listFlows({ query: { outcome: 'open', client: 'cursor-1' } }));
    expect(capped.steps).toHaveLength(60);
    expect(await everything((at) => admin.listFlows({ query: { user: u9, ...at } }))).toHaveLength(1);
    expect(await statusOf(admin.listFlows({ query: { outcome: unfit('strange') } }))).toBe(400);
  });

  it('sec-47: providers are shown with their settings but without secrets, and whether they answer', async () => {
    const items = await everything((at) => admin.listProviders({ query: { limit: 2, ...at } }));
    expect(items.map(({ id, sort }) => [id, sort])).toEqual([
      ['github', 'login'],
      ['static-token', 'verifier'],
      ['jwt', 'verifier'],
    ]);
    expect(items[0]).toMatchObject({
      label: 'GitHub',
      callback_url: `${house.gatehouse.url}/callback/github`,
      settings: { clientId: 'gh-client', clientSecret: '***', baseUrl: house.github.origin },
    });
    const text = JSON.stringify(items);
    for (const secret of ['gh-secret', 'dev-token-123', 'jwt-secret-that']) expect(text).not.toContain(secret);
  });

  it('signing keys rotate with overlap: the new one is announced, the old one signs on', async () => {
    const before = await everything((at) => admin.listKeys({ query: { limit: 1, ...at } }));
    const rotated = await admin.rotateKeys();
    expect(rotated.response.status).toBe(201);
    const after = await everything((at) => admin.listKeys({ query: { limit: 1, ...at } }));
    expect(after).toHaveLength(before.length + 1);
    expect(after.map(({ status }) => status as string)).toContain('announced');
    expect(JSON.stringify(after)).not.toMatch(/"(d|sealed|k)":/);
    const published = (await (await fetch(`${house.gatehouse.url}/jwks`)).json()) as { keys: { kid: string }[] };
    expect(published.keys.map(({ kid }) => kid)).toEqual(expect.arrayContaining(after.map(({ kid }) => kid)));
  });

  it('statistics count people, clients, Grants and what happened lately', async () => {
    const body = await done(admin.getStats());
    expect(body.last_hour.events['test.exported']).toBe(1300);
    expect(body.last_30_days.events['test.exported']).toBe(1300);
    expect(body.last_day.refusals).toBeGreaterThanOrEqual(1);
    expect(body.users).toEqual({ total: 1, blocked: 0, seen_last_30_days: 1 });
  });
});
