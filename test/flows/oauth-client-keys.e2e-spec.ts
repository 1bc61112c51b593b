import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { HttpOutbound, OUTBOUND } from '../../src/outbound/http-outbound.js';
import { OutboundFailed, type OutboundResponse } from '../../src/outbound/outbound.js';
import { databases, type TestDatabase } from '../databases.js';
import { CALLBACK, startWithGitHub, TestClient, type TokenAnswer, type WithGitHub } from '../oauth-client.js';

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** Milliseconds after which keys are asked for again, wherever they were kept. */
const LATER = 61_000;

interface Signer {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: Record<string, unknown>;
}

async function signer(kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}

const json = (body: unknown): OutboundResponse => ({
  status: 200,
  headers: new Headers({ 'content-type': 'application/json', 'cache-control': 'max-age=86400' }),
  text: JSON.stringify(body),
});

describe.each(databases())('sec-26: keys of a client that are published at its jwks_uri, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let url: string;
  /** Keys by their address. */
  const published = new Map<string, readonly Signer[]>();
  let isDown = false;
  let fetches = 0;
  let serial = 0;

  beforeAll(async () => {
    place = await kind.create();
    house = await startWithGitHub({ env: { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_RATE_LIMITS: 'off' } });
    url = house.gatehouse.url;
    const outbound = house.gatehouse.app.get<HttpOutbound>(OUTBOUND);
    const real = outbound.send.bind(outbound);
    vi.spyOn(outbound, 'send').mockImplementation(async (target, request) => {
      if (request?.trust !== 'stranger') return real(target, request);
      if (target.pathname.startsWith('/client'))
        return json({
          client_id: target.href,
          client_name: 'Keyed',
          redirect_uris: [CALLBACK],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks_uri: target.href.replace('client', 'keys'),
        });
      fetches++;
      const keys = published.get(target.href);
      if (isDown || !keys) throw new OutboundFailed('unreachable', 'nobody there');
      return json({ keys: keys.map(({ jwk }) => jwk) });
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    isDown = false;
  });
  afterAll(async () => {
    await house.close();
    await place.drop();
  });

  /** Moves the clock of everybody, keeping timers as they are. */
  const wait = (milliseconds: number): void => {
    const at = Date.now() + milliseconds;
    vi.useFakeTimers({ toFake: ['Date'], now: at });
  };
  const keysOf = (id: number): string => `https://docs.example/keys-${id}.json`;
  const registered = (id: number) =>
    TestClient.register(url, { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: keysOf(id) });
  const byDocument = async (id: number) => TestClient.known(url, `https://docs.example/client-${id}.json`);

  const asserted = async (client: TestClient, by: Signer): Promise<Record<string, string>> => ({
    client_assertion_type: ASSERTION,
    client_assertion: await new SignJWT({ iss: client.id, sub: client.id, aud: url, jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: by.kid })
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(by.privateKey),
  });
  const connect = async (client: TestClient, by: Signer): Promise<TokenAnswer> => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    return client.redeem(browser.stoppedAt.searchParams.get('code')!, await asserted(client, by));
  };

  describe.each([
    ['registered', registered],
    ['described by a document', byDocument],
  ])('of a client that is %s', (_, make) => {
    it('R6: opens the tokens; a rotated key counts within a minute, and the withdrawn one no more', async () => {
      const [first, second] = [await signer('first'), await signer('second')];
      const id = ++serial;
      published.set(keysOf(id), [first]);
      const client = await make(id);
      const { status, body } = await connect(client, first);
      expect(status).toBe(200);
      published.set(keysOf(id), [second]);
      wait(LATER);
      const renewed = await client.refresh(body.refresh_token!, await asserted(client, second));
      expect(renewed.status).toBe(200);
      const withdrawn = await client.refresh(renewed.body.refresh_token!, await asserted(client, first));
      expect([withdrawn.status, withdrawn.body.error]).toEqual([401, 'invalid_client']);
      expect((await client.refresh(renewed.body.refresh_token!, await asserted(client, second))).status).toBe(200);
    });

    it('sec-34: an outage of the key host is bridged, and unknown keys cause no flood of fetches', async () => {
      const [known, stranger] = [await signer('known'), await signer('stranger')];
      const id = ++serial;
      published.set(keysOf(id), [known]);
      const client = await make(id);
      let token = (await connect(client, known)).body.refresh_token!;
      fetches = 0;
      for (let i = 0; i < 10; i++)
        expect((await client.refresh(token, await asserted(client, stranger))).status).toBe(401);
      expect(fetches).toBeLessThanOrEqual(1);
      isDown = true;
      wait(LATER);
      const answer = await client.refresh(token, await asserted(client, known));
      expect(answer.status).toBe(200);
      token = answer.body.refresh_token!;
      expect((await client.refresh(token, await asserted(client, stranger))).status).toBe(401);
    });
  });

  it('RFC 9110: keys that never could be fetched are a 503, not a wrong client: SDKs would register again', async () => {
    const key = await signer('unread');
    const client = await TestClient.register(url, {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: keysOf(++serial),
    });
    const answer = await connect(client, key);
    expect([answer.status, answer.body.error]).toEqual([503, 'temporarily_unavailable']);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
  });
});
