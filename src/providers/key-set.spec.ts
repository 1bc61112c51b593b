import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
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
    now = 1000;
    house = testHouse({ now: () => now });
    tokens = new ForeignJwts({
      id: 'jwt',
      keys: new KeySet('jwt', new URL('/jwks', fake.origin), house),
      algorithms: ['ES256', 'RS256'],
      issuers: [fake.issuer],
      audiences: [AUDIENCE],
      house,
    });
  });
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const good = (): Promise<string> => fake.sign(accessClaims(fake, AUDIENCE));
  const unknown = (): Promise<string> => fake.sign(accessClaims(fake, AUDIENCE), { kid: Math.random().toString(36) });
  const isUndecided = (error: unknown): void => expect(error).toBeInstanceOf(UpstreamUnavailable);
  const fetches = (): number => fake.count('GET /jwks');
  const settled = async (count: number): Promise<void> => {
    while (fetches() < count) await new Promise((resolve) => setImmediate(resolve));
  };

  it('20 tokens with random kid cause at most two fetches, at once or one after another', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, unknown));
    expect(await Promise.all(many.slice(0, 10).map((token) => tokens.verify(token)))).toEqual(Array(10).fill(null));
    for (const token of many.slice(10)) await tokens.verify(token).catch(isUndecided);
    expect(fetches()).toBeLessThanOrEqual(2);
    now += 29;
    await tokens.verify(await unknown()).catch(isUndecided);
    expect(fetches()).toBeLessThanOrEqual(2);
    now += 2;
    expect(await tokens.verify(await unknown())).toBeNull();
    expect(fetches()).toBeLessThanOrEqual(3);
  });

  it('a key that nobody could look for yet is undecided until the next fetch, an older unknown one is refused', async () => {
    await tokens.verify(await good());
    const junk = await unknown();
    now += 1;
    expect(await tokens.verify(junk)).toBeNull();
    now += 1;
    // The issuer rotates right after a stranger used up the fetch of these 30 s: a 401 would sign its people out.
    await fake.rotateKeys({ alg: 'ES256', keep: true });
    const rotated = await good();
    const undecided = await tokens.verify(rotated).catch((error: unknown) => error);
    expect(undecided).toBeInstanceOf(UpstreamUnavailable);
    expect(undecided).toMatchObject({ retryAfter: 29, isQuiet: true });
    expect(fetches()).toBe(2);
    now += 29;
    expect(await tokens.verify(rotated)).not.toBeNull();
    expect(fetches()).toBe(3);
    // Strangers who use up every fetch cannot keep the holder of a withdrawn key from the 401 that makes its client sign in again.
    const withdrawn = await unknown();
    now += 1;
    await expect(tokens.verify(withdrawn)).rejects.toThrow(UpstreamUnavailable);
    now += 30;
    await tokens.verify(await unknown());
    now += 1;
    expect(await tokens.verify(withdrawn)).toBeNull();
    expect(fetches()).toBe(4);
  });

  it('a token that is refused in any case causes no fetch and is never undecided', async () => {
    await tokens.verify(await good());
    for (const over of [{ iss: 'https://other.example' }, { aud: 'https://other.example' }, { exp: 1 }, { exp: 'x' }])
      for (const header of [{ kid: 'unknown' }, {}])
        expect(await tokens.verify(await fake.sign({ ...accessClaims(fake, AUDIENCE), ...over }, header))).toBeNull();
    fake.fault('GET /jwks', 'reset');
    now += 1300;
    expect(await tokens.verify(await fake.sign({ ...accessClaims(fake, AUDIENCE), exp: 1 }))).toBeNull();
    expect(fetches()).toBe(2);
  });

  it.each([
    ['500', { status: 500, body: 'no' }],
    ['404', { status: 404, body: {} }],
    ['HTML with 200', { body: '<html>' }],
    ['null', { body: null }],
  ] as const)(
    'while no keys are known and the issuer answers %s, strangers cause a handful of fetches',
    async (_, fault) => {
      fake.fault('GET /jwks', fault);
      const retries: number[] = [];
      for (let second = 0; second < 30; second++) {
        for (const token of [await unknown(), await good()])
          await tokens.verify(token).catch((error: unknown) => retries.push((error as UpstreamUnavailable).retryAfter));
        now += 1;
      }
      expect(retries).toHaveLength(60);
      expect(Math.min(...retries)).toBeGreaterThanOrEqual(1);
      expect(Math.max(...retries)).toBeLessThanOrEqual(30);
      expect(fetches()).toBe(5);
      expect(house.lines).toHaveLength(fetches());
      now += 300;
      for (let second = 0; second < 90; second++, now++) await tokens.verify(await good()).catch(isUndecided);
      expect(fetches()).toBe(8);
      fake.mend();
      now += 30;
      expect(await tokens.verify(await good())).not.toBeNull();
    },
  );

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

  it('sec-35: keys that cannot be used cost only themselves, whatever names them, and are told of once', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const bad = [
      { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256', use: 'sig' },
      { kty: 'RSA', kid: 'no n' },
      { kty: 'RSA', kid: 'bad n', alg: 'RS256', n: '!!!', e: 'AQAB' },
      { kty: 'RSA', kid: 'text for n', n: 17, e: 'AQAB' },
      { kty: 'EC', crv: 'P-256', kid: 'bad point', x: 'AA', y: 'AA', alg: 'ES256' },
      { kty: 'EC', crv: 'P-256', kid: 'off the curve', x: 'A'.repeat(43), y: 'A'.repeat(43) },
      { kty: 'EC', crv: 'secp256k1', kid: 'other curve', x: 'A'.repeat(43), y: 'A'.repeat(43) },
      { kty: 'OKP', crv: 'Ed25519', kid: 'short', x: 'AA' },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'shared' },
      { kty: 'XX', kid: 'unknown type' },
      null,
      17,
      {},
    ];
    fake.fault('GET /jwks', { body: { keys: [...bad, fake.publicJwk] } });
    const junk = (header: object, length: number): string => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const signature = Buffer.alloc(length, 1).toString('base64url');
      return `${part(header)}.${part(accessClaims(fake, AUDIENCE))}.${signature}`;
    };
    expect(await tokens.verify(await good())).not.toBeNull();
    expect(await tokens.verify(await fake.sign(accessClaims(fake, AUDIENCE), { kid: undefined }))).not.toBeNull();
    for (const key of bad)
      for (const alg of ['RS256', 'ES256', 'EdDSA', 'HS256']) {
        now += 31;
        expect(await tokens.verify(junk({ alg, kid: (key as { kid?: string } | null)?.kid }, 128))).toBeNull();
      }
    expect(await tokens.verify(junk({ alg: 'RS256' }, 256))).toBeNull();
    const told = house.lines.filter((line) => line.includes('is not used'));
    expect(told).toHaveLength(bad.length);
    expect(told[0]).toMatch(/jwt: the key "weak" is not used: it is an RSA key of 1024 bits, wanted are 2048 or more/);
    now += 31;
    await tokens.verify(await unknown());
    now += 31;
    await tokens.verify(await unknown());
    expect(house.lines.filter((line) => line.includes('is not used'))).toHaveLength(bad.length);
  });

  it('a private key that an issuer publishes by mistake is read as its public half', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'leaked', alg: 'ES256', use: 'sig' };
    fake.fault('GET /jwks', { body: { keys: [jwk] } });
    const token = await new SignJWT(accessClaims(fake, AUDIENCE))
      .setProtectedHeader({ alg: 'ES256', kid: 'leaked' })
      .sign(privateKey);
    expect(await tokens.verify(token)).not.toBeNull();
  });
});
