import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { CALLBACK, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { PUBLIC_EXAMPLE } from '../public-example.js';

type Page = (request: IncomingMessage, response: ServerResponse) => void;

/** An https host on this machine that plays one of the internet. */
class DocumentHost {
  readonly asked: string[] = [];
  readonly pages = new Map<string, Page>();
  /** Answers that wait. */
  readonly held: (() => void)[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer(PUBLIC_EXAMPLE, (request, response) => {
      this.asked.push(request.url ?? '');
      const page = this.pages.get(request.url ?? '');
      if (page) page(request, response);
      else response.writeHead(404).end();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

const PLAIN = { 'content-type': 'application/json' };
const document = (id: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ client_id: id, client_name: 'Fetched', redirect_uris: [CALLBACK], ...more });

describe('fetching the document of a client', () => {
  let host: DocumentHost;
  let house: WithGitHub;
  let serial = 0;
  /** Names that the resolver was asked for. */
  const resolved: string[] = [];

  beforeAll(async () => {
    host = await new DocumentHost().listen();
    house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    // The real door, but that every *.example name leads to the host above, as if it stood at a public address.
    const toward = new HttpOutbound({
      ca: PUBLIC_EXAMPLE.cert,
      permits: () => true,
      resolve: (name, _, done) => {
        resolved.push(name);
        done(null, [{ address: '127.0.0.1', family: 4 }]);
      },
    });
    const outbound = house.gatehouse.app.get<HttpOutbound>(OUTBOUND);
    const real = outbound.send.bind(outbound);
    vi.spyOn(outbound, 'send').mockImplementation((url, request) =>
      request?.trust === 'stranger' && url.hostname === 'public.example'
        ? toward.send(url, request)
        : real(url, request),
    );
  });
  afterAll(async () => {
    await house?.close();
    await host?.close();
  });
  beforeEach(() => {
    host.asked.length = 0;
    resolved.length = 0;
  });

  const idOf = (path: string): string => `https://public.example:${host.port}${path}`;
  const serve = (page: (id: string) => Page): string => {
    const path = `/client-${++serial}.json`;
    host.pages.set(path, page(idOf(path)));
    return idOf(path);
  };
  const good = (more: Record<string, unknown> = {}): string =>
    serve((id) => (_, response) => response.writeHead(200, PLAIN).end(document(id, more)));
  const held = (): string =>
    serve((id) => (_, response) => {
      host.held.push(() => response.writeHead(200, PLAIN).end(document(id)));
    });
  const release = (): void => host.held.splice(0).forEach((go) => go());
  const ask = (id: string, accept = '*/*') =>
    fetch(TestClient.known(house.gatehouse.url, id).authorizeUrl(), { redirect: 'manual', headers: { accept } });

  it('sec-24: resolves once, asks for identity encoding, sends nothing about us, and takes the document', async () => {
    const headers: IncomingMessage['headers'][] = [];
    const id = serve((own) => (request, response) => {
      headers.push(request.headers);
      response.writeHead(200, PLAIN).end(document(own));
    });
    expect((await ask(id)).status).toBe(303);
    expect(resolved).toEqual(['public.example']);
    expect(headers).toHaveLength(1);
    expect(headers[0]).toMatchObject({ 'accept-encoding': 'identity', host: `public.example:${host.port}` });
    for (const name of ['cookie', 'authorization', 'referer', 'origin']) expect(headers[0]).not.toHaveProperty(name);
    expect((await ask(id)).status).toBe(303);
    expect(host.asked).toHaveLength(1);
  });

  it('sec-24: a document of 5 KiB is read, one byte more is not', async () => {
    const sized = (bytes: number) =>
      serve((id) => (_, response) => {
        const text = document(id, { software_id: '' });
        response.writeHead(200, PLAIN).end(document(id, { software_id: 'x'.repeat(bytes - text.length) }));
      });
    expect((await ask(sized(5 * 1024))).status).toBe(303);
    expect((await ask(sized(5 * 1024 + 1))).status).toBe(400);
  });

  it('sec-24: whatever goes wrong, the answer is the same to the byte, and no redirect is followed', async () => {
    host.pages.set('/elsewhere.json', (_, response) => response.writeHead(200, PLAIN).end('{}'));
    const failures: Record<string, string> = {
      'a redirect': serve(() => (_, response) => response.writeHead(302, { location: idOf('/elsewhere.json') }).end()),
      'a redirect inside': serve(
        () => (_, response) => response.writeHead(307, { location: 'https://127.0.0.1/' }).end(),
      ),
      'another encoding': serve(
        (id) => (_, response) => response.writeHead(200, { ...PLAIN, 'content-encoding': 'gzip' }).end(document(id)),
      ),
      'an endless body': serve(() => (_, response) => {
        response.writeHead(200, PLAIN);
        const more = (): void => {
          if (!response.destroyed) response.write('x'.repeat(4096), () => setImmediate(more));
        };
        more();
      }),
      'a cut connection': serve(() => (request) => request.socket.destroy()),
      silence: serve(() => () => {}),
      'a body that never ends': serve(() => (_, response) => response.writeHead(200, PLAIN).write('{"client_id":')),
      'not found': idOf('/nothing.json'),
      HTML: serve((id) => (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(document(id))),
      'another name': serve((id) => (_, response) => response.writeHead(200, PLAIN).end(document(`${id}x`))),
      'a private address': 'https://10.0.0.1/client.json',
      'the address of a cloud’s metadata': 'https://169.254.169.254/latest/meta-data',
      'this machine': `https://127.0.0.1:${host.port}/client.json`,
      'no such name': 'https://no-such-name.invalid/client.json',
    };
    const outcome = async ([name, id]: readonly [string, string]) => {
      const [json, page] = [await ask(id), await ask(id, 'text/html')];
      const text = (await page.text()).replaceAll(/<code>[0-9a-f]+<\/code>/g, '');
      return [name, json.status, await json.text(), page.status, text] as const;
    };
    const answers: Awaited<ReturnType<typeof outcome>>[] = [];
    // As many at once as one host may be asked, so that each fails by its own fault.
    for (let rest = Object.entries(failures); rest.length > 0; rest = rest.slice(4))
      answers.push(...(await Promise.all(rest.slice(0, 4).map(outcome))));
    expect(new Set(host.asked).size).toBeGreaterThan(9);
    const [, status, body, pageStatus, text] = answers[0]!;
    expect([status, pageStatus]).toEqual([400, 400]);
    for (const [name, ...rest] of answers) expect([name, ...rest]).toEqual([name, status, body, pageStatus, text]);
    expect(host.asked).not.toContain('/elsewhere.json');
    expect(host.asked).not.toContain('/client.json');
  });

  it('I5, AS-8, sec-24: no spelling of an inner address, nor a name that leads there, makes us connect', async () => {
    const { port } = host;
    for (const address of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      'localhost',
      'localhost.',
      '①②⑦.0.0.1',
    ]) {
      const answer = await ask(`https://${address}:${port}/client.json`);
      expect([address, answer.status]).toEqual([address, 400]);
    }
    const { token_endpoint_auth_method: method, ...keys } = {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `https://127.0.0.1:${port}/keys.json`,
    };
    const client = await TestClient.register(house.gatehouse.url, { token_endpoint_auth_method: method, ...keys });
    const claims = Buffer.from(JSON.stringify({ iss: client.id, sub: client.id })).toString('base64url');
    const answer = await client.token({
      grant_type: 'refresh_token',
      refresh_token: 'x',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${claims}.AAAA`,
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(host.asked).toEqual([]);
  });

  it('sec-24: many who ask for one address share one fetch, and all get its document', async () => {
    const id = held();
    const asking = Array.from({ length: 12 }, () => ask(id));
    await expect.poll(() => host.held.length).toBe(1);
    release();
    expect((await Promise.all(asking)).map(({ status }) => status)).toEqual(asking.map(() => 303));
    expect(host.asked).toHaveLength(1);
  });

  it('sec-24: no more than four fetches at one host at once; who was too many is no failure and may come back', async () => {
    const waiting = Array.from({ length: 4 }, () => ask(held()));
    await expect.poll(() => host.held.length).toBe(4);
    const fifth = good();
    expect((await ask(fifth)).status).toBe(400);
    expect(host.asked).toHaveLength(4);
    release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([303, 303, 303, 303]);
    expect((await ask(fifth)).status).toBe(303);
  });
});

describe('very many documents at once', () => {
  it('sec-24: no more than fifty fetches in all, and the others go on when some end', async () => {
    const house = await startWithGitHub({ env: { GATEHOUSE_RATE_LIMITS: 'off' } });
    try {
      const pending: (() => void)[] = [];
      const outbound = house.gatehouse.app.get<HttpOutbound>(OUTBOUND);
      vi.spyOn(outbound, 'send').mockImplementation(
        (url) =>
          new Promise((resolve) =>
            pending.push(() => resolve({ status: 200, headers: new Headers(PLAIN), text: document(url.href) })),
          ),
      );
      const ask = (i: number) =>
        fetch(TestClient.known(house.gatehouse.url, `https://host-${i}.example/c.json`).authorizeUrl(), {
          redirect: 'manual',
        });
      const asking = Array.from({ length: 50 }, (_, i) => ask(i));
      await expect.poll(() => pending.length).toBe(50);
      expect((await ask(50)).status).toBe(400);
      expect(pending).toHaveLength(50);
      for (const go of pending.splice(0)) go();
      expect(new Set((await Promise.all(asking)).map(({ status }) => status))).toEqual(new Set([303]));
      const late = ask(50);
      await expect.poll(() => pending.length).toBe(1);
      pending[0]!();
      expect((await late).status).toBe(303);
    } finally {
      await house.close();
    }
  });
});
