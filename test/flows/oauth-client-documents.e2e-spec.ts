import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { type OutboundRequest, OutboundFailed, type OutboundResponse } from '../../src/outbound/outbound.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { readable } from '../browser.js';
import { CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

type Answer = (url: URL) => OutboundResponse | Promise<OutboundResponse>;

const document = (url: string, more: Record<string, unknown> = {}) => ({
  client_id: url,
  client_name: 'Document Client',
  redirect_uris: [CALLBACK, 'https://docs.example/cb'],
  ...more,
});
const json = (body: unknown, headers: Record<string, string> = {}, status = 200): OutboundResponse => ({
  status,
  headers: new Headers({ 'content-type': 'application/json', ...headers }),
  text: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('client ID metadata documents', () => {
  let house: WithGitHub;
  let url: string;
  let database: Database;
  let fetched: { url: string; request: OutboundRequest }[] = [];
  const answers = new Map<string, Answer>();
  let serial = 0;

  beforeAll(async () => {
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
    database = house.gatehouse.app.get(Database);
    const outbound = house.gatehouse.app.get<HttpOutbound>(OUTBOUND);
    const real = outbound.send.bind(outbound);
    vi.spyOn(outbound, 'send').mockImplementation(async (target, request) => {
      if (request?.trust !== 'stranger') return real(target, request);
      fetched.push({ url: target.href, request });
      const answer = answers.get(target.href);
      if (!answer) throw new OutboundFailed('unreachable', 'nobody there');
      return answer(target);
    });
  });
  afterAll(() => house.close());
  beforeEach(() => {
    fetched = [];
  });

  const fresh = (more: Record<string, unknown> = {}, headers: Record<string, string> = {}): string => {
    const id = `https://docs.example/client-${++serial}.json`;
    answers.set(id, () => json(document(id, more), headers));
    return id;
  };
  const forget = () => database.commit([sql`UPDATE cimd_document SET fresh_until = 1`]);
  const authorize = async (id: string, parameters: Record<string, string | undefined> = {}) =>
    fetch(TestClient.known(url, id).authorizeUrl(parameters), { redirect: 'manual' });

  it('AS-7, R6: a client signs in by its document; its host is shown, and the fetch is a stranger’s', async () => {
    const id = fresh();
    const client = TestClient.known(url, id);
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl());
    expect(readable(page)).toContain('Document Client');
    expect(readable(page)).toContain('docs.example');
    await browser.press('provider=github');
    const { status, body } = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect(status).toBe(200);
    expect((await client.refresh(body.refresh_token!)).status).toBe(200);
    expect(fetched).toHaveLength(1);
    expect(fetched[0]!.request).toMatchObject({ trust: 'stranger', maxBytes: 5120, timeoutMs: 2000 });
  });

  it('A1: any port of a loopback URI in the document, and no other redirect', async () => {
    const id = fresh({ redirect_uris: ['http://localhost/callback'] });
    expect((await authorize(id, { redirect_uri: 'http://localhost:5555/callback' })).status).toBe(303);
    expect((await authorize(id, { redirect_uri: 'http://127.0.0.1:5555/callback' })).status).toBe(400);
    expect((await authorize(id, { redirect_uri: 'https://evil.example/' })).status).toBe(400);
  });

  it.each([
    ['another client_id', (id: string) => json(document(`${id}x`))],
    ['a secret', (id: string) => json(document(id, { client_secret: 's' }))],
    [
      'a shared-secret method',
      (id: string) => json(document(id, { token_endpoint_auth_method: 'client_secret_basic' })),
    ],
    ['a hostile redirect URI', (id: string) => json(document(id, { redirect_uris: ['javascript:alert(1)'] }))],
    ['no redirect URIs', (id: string) => json(document(id, { redirect_uris: undefined }))],
    ['no name', (id: string) => json(document(id, { client_name: undefined }))],
    ['HTML', (id: string) => json(document(id), { 'content-type': 'text/html' })],
    ['not JSON', () => json('{')],
    ['null', () => json('null')],
    ['status 201', (id: string) => json(document(id), {}, 201)],
    ['a redirect', () => json('', { location: 'https://docs.example/else' }, 302)],
    ['status 500', () => json('{}', {}, 500)],
  ])('sec-24, sec-25: a document with %s is refused, with one text for all', async (_, answer) => {
    const id = `https://docs.example/client-${++serial}.json`;
    answers.set(id, () => answer(id));
    const response = await authorize(id);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: 'invalid_client',
      error_description: 'client_id metadata document fetch failed',
    });
  });

  it('sec-24: a failure is remembered: two requests make one fetch', async () => {
    const id = `https://docs.example/client-${++serial}.json`;
    answers.set(id, () => json('{}', {}, 500));
    await authorize(id);
    await authorize(id);
    await authorize(id);
    expect(fetched).toHaveLength(1);
  });

  it('sec-24: parallel requests share one fetch', async () => {
    const id = fresh();
    await Promise.all(Array.from({ length: 10 }, () => authorize(id)));
    expect(fetched).toHaveLength(1);
  });

  it('AS-9: what is no acceptable client_id is never fetched, our own issuer included', async () => {
    for (const id of [
      'http://docs.example/c.json',
      'https://docs.example/',
      'https://docs.example/a/../c.json',
      'https://user@docs.example/c.json',
      'https://docs.example/c.json#x',
      `${url}/c.json`,
    ])
      expect((await authorize(id)).status).toBe(400);
    expect(fetched).toEqual([]);
  });

  it('R7: while its host fails the last good document is answered, and refresh goes on', async () => {
    const id = fresh();
    const client = TestClient.known(url, id);
    const { refreshToken } = await signIn(client);
    await forget();
    answers.set(id, () => {
      throw new OutboundFailed('timeout', 'slow');
    });
    const again = await client.refresh(refreshToken);
    expect(again.status).toBe(200);
    expect((await authorize(id)).status).toBe(303);
  });

  it('R7: a document older than 30 days, or gone for a day, is no longer answered', async () => {
    const [old, gone] = [fresh(), fresh()];
    await authorize(old);
    await authorize(gone);
    answers.set(old, () => json('', {}, 503));
    answers.set(gone, () => json('', {}, 404));
    const { CimdDocuments } = await import('../../src/oauth/cimd-documents.js');
    const documents = house.gatehouse.app.get(CimdDocuments);
    await forget();
    expect((await documents.get(gone, 'document')).maxAge).toBe(60);
    await database.commit([
      sql`UPDATE cimd_document SET fetched_at = fetched_at - 2600000 WHERE url = ${old}`,
      sql`UPDATE cimd_document SET gone_at = gone_at - 90000 WHERE url = ${gone}`,
    ]);
    await expect(documents.get(old, 'document')).rejects.toThrow('could not be used');
    await expect(documents.get(gone, 'document')).rejects.toThrow('could not be used');
  });

  it('R7: a known vendor whose host cannot be reached at all still signs in', async () => {
    const id = 'https://claude.ai/oauth/claude-code-client-metadata';
    const answer = await authorize(id, { redirect_uri: 'http://localhost:4321/callback' });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, expect.stringMatching(/^\/login\//)]);
  });

  it('sec-25: another name or another redirect URI asks for consent anew', async () => {
    const id = fresh();
    const client = TestClient.known(url, id);
    const { browser } = await signIn(client);
    await browser.open(client.authorizeUrl());
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
    await database.commit([sql`UPDATE oauth_client SET name = ${'Renamed'} WHERE id = ${id}`]);
    expect((await browser.open(client.authorizeUrl())).status).toBe(200);
  });

  it('T5: every sign-in of one client_id makes a Grant of its own, and signing in revokes no sibling', async () => {
    const id = fresh();
    const client = TestClient.known(url, id);
    const [first, second] = [await signIn(client), await signIn(client)];
    expect((await client.revoke(second.refreshToken)).status).toBe(200);
    expect((await client.refresh(first.refreshToken)).status).toBe(200);
  });

  it('GATEHOUSE_CLIENT_ID_DOCUMENTS=off: neither advertised nor fetched', async () => {
    const closed = await startWithGitHub({ env: { GATEHOUSE_CLIENT_ID_DOCUMENTS: 'off' } });
    try {
      const metadata = await (await fetch(`${closed.gatehouse.url}/.well-known/oauth-authorization-server`)).json();
      expect(metadata).not.toHaveProperty('client_id_metadata_document_supported');
      const client = TestClient.known(closed.gatehouse.url, 'https://docs.example/c.json');
      expect((await fetch(client.authorizeUrl(), { redirect: 'manual' })).status).toBe(400);
    } finally {
      await closed.close();
    }
  });
});
