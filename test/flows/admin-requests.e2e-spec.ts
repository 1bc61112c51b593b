import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdminApi } from '../admin-api/sdk.gen.js';
import { Administration, done, etagOf, everything, faults, firstOf, statusOf } from '../admin-client.js';
import { databases, type TestDatabase } from '../databases.js';
import { type RunningGatehouse, startGatehouse } from '../gatehouse.js';

const ADMIN = 'admin-token-of-this-test-suite-0123456789';
const PROBLEM = 'application/problem+json';

describe.each(databases())('requests to the admin API as HTTP has them, on $name', (kind) => {
  let place: TestDatabase;
  let gatehouse: RunningGatehouse;
  let admin: AdminApi;

  beforeAll(async () => {
    place = await kind.create();
    gatehouse = await startGatehouse({ env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_ADMIN_TOKEN: ADMIN } });
    ({ api: admin } = await Administration.of(gatehouse.url, ADMIN));
  });
  afterAll(async () => {
    await gatehouse.close();
    await place.drop();
  });

  const send = (method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Response> =>
    fetch(`${gatehouse.url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN}`, ...headers },
      ...(body === undefined ? {} : { body }),
    });
  const newClient = (): Promise<{ id: string }> =>
    done(admin.createClient({ body: { name: 'Desk', redirect_uris: ['http://127.0.0.1/cb'] } }));

  it('RFC 9110 §12.5.1: lines are sent to those who prefer them', async () => {
    const typeFor = async (accept: string): Promise<string> =>
      (await send('GET', '/events', { accept })).headers.get('content-type')!.split(';')[0]!;
    expect(await typeFor('application/x-ndjson')).toBe('application/x-ndjson');
    expect(await typeFor('application/x-ndjson, application/json;q=0.5')).toBe('application/x-ndjson');
    expect(await typeFor('application/json, application/x-ndjson;q=0.1')).toBe('application/json');
    expect(await typeFor('application/x-ndjson;q=0, */*')).toBe('application/json');
    expect(await typeFor('*/*')).toBe('application/json');
  });

  it('HEAD has the headers of GET, and an export that nobody reads is none', async () => {
    const exports = async (): Promise<number> =>
      (await everything((at) => admin.listEvents({ query: { type: 'events.exported', ...at } }))).length;
    const before = await exports();
    const head = await send('HEAD', '/events', { accept: 'application/x-ndjson' });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    expect(await exports()).toBe(before);
  });

  it('RFC 9110 §13.1.1: a deletion that names a version happens to that version only', async () => {
    const { id } = await newClient();
    const path = { id };
    const outdated = await etagOf(admin.getClient({ path }));
    await done(admin.changeClient({ path, headers: { 'If-Match': '*' }, body: { note: 'of another' } }));
    expect(await statusOf(admin.removeClient({ path, headers: { 'If-Match': outdated } }))).toBe(412);
    const current = await etagOf(admin.getClient({ path }));
    expect(await statusOf(admin.removeClient({ path, headers: { 'If-Match': current } }))).toBe(204);
    expect(await statusOf(admin.removeClient({ path, headers: { 'If-Match': '*' } }))).toBe(404);
  });

  it('a media type without a body is no fault where no body is read', async () => {
    const { id } = await newClient();
    const json = { 'content-type': 'application/json' };
    expect((await send('DELETE', `/clients/${id}`, json)).status).toBe(204);
    expect((await send('POST', '/keys/rotate', json)).status).toBe(201);
    expect((await send('POST', '/tokens', json)).status).toBe(400);
  });

  it('an address that leads nowhere is 404 or 400, as a problem', async () => {
    const nowhere = await send('GET', `/users/${'x'.repeat(2100)}`);
    expect([nowhere.status, nowhere.headers.get('allow')]).toEqual([404, null]);
    for (const path of ['/users/%ZZ', '/users/%00']) {
      const { status, headers } = await send('GET', path);
      expect([status, headers.get('content-type')!.split(';')[0], headers.get('cache-control')], path).toEqual([
        400,
        PROBLEM,
        'no-store',
      ]);
    }
  });

  it.each([
    ['PUT', '/users', 'GET, HEAD'],
    ['OPTIONS', '/clients', 'GET, POST, HEAD'],
    ['PROPFIND', '/clients/x', 'GET, PATCH, DELETE, HEAD'],
    ['TRACE', '/stats', 'GET, HEAD'],
    ['POST', '/events', 'GET, HEAD'],
    ['GET', '/keys/rotate', 'POST'],
  ])('RFC 9110 §15.5.6: %s %s is 405 and says Allow: %s', async (method, path, allow) => {
    // Not by fetch, which refuses TRACE.
    const answer = await new Promise<{ status: number | undefined; headers: Record<string, unknown> }>(
      (resolve, reject) =>
        request(
          `${gatehouse.url}/admin/v1${path}`,
          { method, headers: { authorization: `Bearer ${ADMIN}` } },
          (response) => {
            response.resume();
            resolve({ status: response.statusCode, headers: response.headers });
          },
        )
          .on('error', reject)
          .end(),
    );
    expect(answer).toMatchObject({ status: 405, headers: { allow, 'cache-control': 'no-store' } });
    expect(answer.headers['content-type']).toMatch(PROBLEM);
  });

  it('text that Postgres cannot keep is refused everywhere; notes may have lines', async () => {
    const redirect_uris = ['http://127.0.0.1/cb'];
    const create = (note: string) => admin.createClient({ body: { name: 'Noted', redirect_uris, note } });
    expect(await faults(create('a\u0000b'))).toEqual(['body.note']);
    expect((await done(create('first\n\tsecond'))).note).toBe('first\n\tsecond');
  });

  it('scopes that come twice are one, and the newest key is the one that a rotation answers', async () => {
    expect((await done(admin.createToken({ body: { name: 't', scopes: ['b', 'a', 'b'] } }))).scopes).toEqual([
      'b',
      'a',
    ]);
    for (let i = 0; i < 3; i++) {
      const rotated = await done(admin.rotateKeys());
      expect(rotated.expires_at).toBeNull();
      expect((await firstOf(admin.listKeys({ query: { limit: 1 } }))).kid).toBe(rotated.kid);
    }
  });

  it.each([
    ['an RFC 3339 time', '2031-01-01T00:00:00+01:00', '2030-12-31T23:00:00.000Z'],
    ['epoch seconds', 1_924_992_000, '2031-01-01T00:00:00.000Z'],
    ['nothing', null, null],
  ])('a personal token expires by %s', async (_, expires_at, shown) => {
    const { response, data } = await admin.createToken({ body: { name: 'dated', expires_at } });
    expect(data!.expires_at).toBe(shown);
    const read = await fetch(new URL(response.headers.get('location')!, gatehouse.url), {
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    const { token, ...rest } = data!;
    expect(await read.json()).toEqual(rest);
    expect(token.startsWith(rest.hint)).toBe(true);
  });
});
