import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeOidc } from '../testing/fake-oidc.js';
import { accessClaims } from '../testing/foreign-tokens.js';
import { testHouse, type TestHouse } from '../testing/house.js';
import { UpstreamUnavailable } from './contract.js';
import { ForeignJwts } from './foreign-jwt.js';
import { KeySet } from './key-set.js';

const AUDIENCE = 'http://localhost:8000/mcp';

describe('sec-34: keys of a foreign issuer', () => {
  let fake: FakeOidc;
  let house: TestHouse;
  let now: number;
  let tokens: ForeignJwts;
  beforeEach(async () => {
    fake = await new FakeOidc().listen();
    await fake.rotateKeys({ alg: 'ES256' });
    house = testHouse();
    now = 1000;
    const key = new KeySet(new URL('/jwks', fake.origin), house.outbound, () => now).find;
    tokens = new ForeignJwts({
      id: 'jwt',
      key,
      algorithms: ['ES256'],
      issuers: [fake.issuer],
      audiences: [AUDIENCE],
      log: house.log,
    });
  });
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const good = (): Promise<string> => fake.sign(accessClaims(fake, AUDIENCE));
  const unknown = (): Promise<string> => fake.sign(accessClaims(fake, AUDIENCE), { kid: Math.random().toString(36) });
  const fetches = (): number => fake.count('GET /jwks');
  const settled = async (count: number): Promise<void> => {
    while (fetches() < count) await new Promise((resolve) => setImmediate(resolve));
  };

  it('20 tokens with random kid cause at most two fetches, at once or one after another', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, unknown));
    expect(await Promise.all(many.slice(0, 10).map((token) => tokens.verify(token)))).toEqual(Array(10).fill(null));
    for (const token of many.slice(10)) expect(await tokens.verify(token)).toBeNull();
    expect(fetches()).toBeLessThanOrEqual(2);
    now += 29;
    await tokens.verify(await unknown());
    expect(fetches()).toBeLessThanOrEqual(2);
    now += 2;
    await tokens.verify(await unknown());
    expect(fetches()).toBeLessThanOrEqual(3);
  });

  it('many good tokens at once cause one fetch', async () => {
    const many = await Promise.all(Array.from({ length: 10 }, good));
    const verdicts = await Promise.all(many.map((token) => tokens.verify(token)));
    expect(verdicts.every((verdict) => verdict !== null)).toBe(true);
    expect(fetches()).toBe(1);
  });

  it('rotation refuses no good token, even right after the first fetch', async () => {
    const before = await good();
    expect(await tokens.verify(before)).not.toBeNull();
    await fake.rotateKeys({ alg: 'ES256', keep: true });
    expect(await tokens.verify(await good())).not.toBeNull();
    expect(await tokens.verify(before)).not.toBeNull();
    expect(fetches()).toBe(2);
  });

  it('known keys keep working while the issuer is down for an hour', async () => {
    expect(await tokens.verify(await good())).not.toBeNull();
    fake.fault('GET /jwks', 'reset');
    for (let minute = 0; minute < 60; minute++) {
      now += 60;
      expect(await tokens.verify(await good())).not.toBeNull();
    }
    expect(fetches()).toBeLessThanOrEqual(62);
  });

  it('an unknown key while the issuer is down is undecided, not refused', async () => {
    expect(await tokens.verify(await good())).not.toBeNull();
    fake.fault('GET /jwks', 'reset');
    await expect(tokens.verify(await unknown())).rejects.toThrow(UpstreamUnavailable);
    await expect(tokens.verify(await unknown())).rejects.toThrow(UpstreamUnavailable);
    expect(fetches()).toBe(2);
  });

  it('a withdrawn key stops working once the keys were fetched again', async () => {
    const old = await good();
    expect(await tokens.verify(old)).not.toBeNull();
    await fake.rotateKeys({ alg: 'ES256' });
    now += 601;
    expect(await tokens.verify(old)).not.toBeNull();
    await settled(2);
    now += 1201;
    expect(await tokens.verify(old)).toBeNull();
  });

  it('a malformed key among good ones costs only itself', async () => {
    fake.fault('GET /jwks', { body: { keys: [null, 17, {}, { kty: 'XX' }, fake.publicJwk] } });
    expect(await tokens.verify(await good())).not.toBeNull();
  });
});
