import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { accessClaims, BAD_JWTS, badJwts } from '../../testing/foreign-tokens.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { describeTokenVerifier } from '../../../test/contracts/token-verifier.js';
import {
  type NamesAuthorizationServers,
  type Probes,
  type ProviderHouse,
  type Runs,
  type TokenVerifier,
  UpstreamUnavailable,
} from '../contract.js';
import { jwt } from './jwt.verifier.js';

const AUDIENCE = 'http://localhost:8000/mcp';
const SECRET = 'a-secret-of-at-least-thirty-two-characters';
type Input = Parameters<typeof jwt>[0];

function create(house: ProviderHouse, settings: Input, id = 'jwt'): TokenVerifier {
  return jwt.definition.create(id, jwt.definition.settings.parse(settings), house) as TokenVerifier;
}

describeTokenVerifier('jwt with JWKS', {
  bad: BAD_JWTS,
  hasUpstream: true,
  open: async () => {
    const fake = await new FakeOidc().listen();
    return {
      fake,
      route: 'GET /jwks',
      create: (house, id) =>
        create(house, { jwksUri: `${fake.origin}/jwks`, issuer: fake.issuer, audience: AUDIENCE }, id),
      good: (scopes) => fake.sign(accessClaims(fake, AUDIENCE, scopes)),
      bad: badJwts(fake, AUDIENCE),
    };
  },
});

describeTokenVerifier('jwt with a public key', {
  bad: BAD_JWTS,
  hasUpstream: false,
  open: async () => {
    const fake = await new FakeOidc().listen();
    const publicKey = pemOf(fake);
    return {
      fake,
      create: (house, id) => create(house, { publicKey, issuer: fake.issuer, audience: AUDIENCE }, id),
      good: (scopes) => fake.sign(accessClaims(fake, AUDIENCE, scopes)),
      bad: badJwts(fake, AUDIENCE),
    };
  },
});

function pemOf(fake: FakeOidc): string {
  return createPublicKey({ key: fake.publicJwk as never, format: 'jwk' })
    .export({ type: 'spki', format: 'pem' })
    .toString();
}

describe('jwt', () => {
  let fake: FakeOidc;
  let house: TestHouse;
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const open = async (): Promise<Input & { jwksUri: string }> => {
    fake = await new FakeOidc().listen();
    house = testHouse();
    return { jwksUri: `${fake.origin}/jwks`, issuer: fake.issuer };
  };

  it('accepts HS256 with the shared secret, and nothing else', async () => {
    const { issuer } = await open();
    const verifier = create(house, { secret: SECRET, issuer });
    const signer = (alg: string, key: string) =>
      new SignJWT(accessClaims(fake, AUDIENCE)).setProtectedHeader({ alg }).sign(Buffer.from(key));
    expect(await verifier.verify(await signer('HS256', SECRET))).not.toBeNull();
    expect(await verifier.verify(await signer('HS512', `${SECRET}${SECRET}`))).toBeNull();
    expect(await verifier.verify(await signer('HS256', `${SECRET}x`))).toBeNull();
    expect(await verifier.verify(await fake.sign(accessClaims(fake, AUDIENCE)))).toBeNull();
  });

  it('sec-33: a public key is never taken for an HMAC secret', async () => {
    const { issuer, jwksUri } = await open();
    const pem = pemOf(fake);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${part({ alg: 'HS256', kid: fake.publicJwk.kid })}.${part(accessClaims(fake, AUDIENCE))}`;
    const forged = `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
    expect(await create(house, { publicKey: pem, issuer }).verify(forged)).toBeNull();
    expect(await create(house, { jwksUri, issuer }).verify(forged)).toBeNull();
  });

  it('an algorithm that is not listed is refused although the key would fit', async () => {
    const settings = await open();
    const token = await fake.sign(accessClaims(fake, AUDIENCE));
    expect(await create(house, { ...settings, algorithms: 'ES256,PS256' }).verify(token)).toBeNull();
    expect(await create(house, { ...settings, algorithms: ['RS256'] }).verify(token)).not.toBeNull();
  });

  it.each(['ES256', 'EdDSA'])('accepts %s from a JWKS', async (alg) => {
    const settings = await open();
    await fake.rotateKeys({ alg });
    expect(await create(house, settings).verify(await fake.sign(accessClaims(fake, AUDIENCE)))).not.toBeNull();
  });

  it('keys without kid: each that fits is tried', async () => {
    const settings = await open();
    await fake.rotateKeys({ alg: 'ES256' });
    await fake.rotateKeys({ alg: 'ES256', keep: true });
    const { kid: _, ...second } = fake.publicJwk;
    const token = await fake.sign(accessClaims(fake, AUDIENCE), { kid: undefined });
    await fake.rotateKeys({ alg: 'ES256' });
    const { kid: __, ...other } = fake.publicJwk;
    fake.fault('GET /jwks', { body: { keys: [other, second] } });
    expect(await create(house, settings).verify(token)).not.toBeNull();
    fake.fault('GET /jwks', { body: { keys: [other, other] } });
    expect(await create(house, settings).verify(token)).toBeNull();
  });

  it.each([
    ['scope as text', { scope: 'a b' }, ['a', 'b']],
    ['scope as a list', { scope: ['a', 'b'] }, ['a', 'b']],
    ['scp as text (Entra)', { scope: undefined, scp: 'a b' }, ['a', 'b']],
    ['scp as a list (Okta)', { scope: undefined, scp: ['a', 'b'] }, ['a', 'b']],
    ['no scope at all', { scope: undefined }, []],
    ['nonsense', { scope: 17 }, []],
  ])('reads %s', async (_, claims, scopes) => {
    const settings = await open();
    const token = await fake.sign({ ...accessClaims(fake, AUDIENCE), ...claims });
    expect((await create(house, settings).verify(token))?.scopes).toEqual(scopes);
  });

  it('names the client by client_id, azp or cid, else the subject', async () => {
    const settings = await open();
    const clientOf = async (claims: object) =>
      (
        await create(house, settings).verify(
          await fake.sign({ ...accessClaims(fake, AUDIENCE), client_id: undefined, ...claims }),
        )
      )?.client;
    expect(await clientOf({ client_id: 'c' })).toBe('c');
    expect(await clientOf({ azp: 'z' })).toBe('z');
    expect(await clientOf({ cid: 'o' })).toBe('o');
    expect(await clientOf({})).toBe('alice-1');
  });

  it('the same sub of two issuers is two people', async () => {
    const { jwksUri } = await open();
    const verifier = create(house, { jwksUri, issuer: `${fake.issuer},https://other.example` });
    const keyOf = async (iss: string) =>
      (await verifier.verify(await fake.sign({ ...accessClaims(fake, AUDIENCE), iss })))?.key;
    expect(await keyOf(fake.issuer)).not.toBe(await keyOf('https://other.example'));
  });

  it('a list-valued audience is ours when we are in it; a list of ours is any of them', async () => {
    const settings = await open();
    const token = await fake.sign({ ...accessClaims(fake, AUDIENCE), aud: ['https://a.example', AUDIENCE] });
    expect(await create(house, settings).verify(token)).not.toBeNull();
    expect(
      await create(house, { ...settings, audience: 'https://a.example,https://b.example' }).verify(token),
    ).not.toBeNull();
    expect(await create(house, { ...settings, audience: 'https://b.example' }).verify(token)).toBeNull();
  });

  it('clock leeway: 30 s on exp, 60 s on nbf and iat', async () => {
    const settings = await open();
    const verifier = create(house, settings);
    const now = Math.floor(Date.now() / 1000);
    const ok = async (claims: object) =>
      (await verifier.verify(await fake.sign({ ...accessClaims(fake, AUDIENCE), ...claims }))) !== null;
    expect(await ok({ exp: now - 20 })).toBe(true);
    expect(await ok({ exp: now - 45 })).toBe(false);
    expect(await ok({ nbf: now + 50, iat: now + 50 })).toBe(true);
    expect(await ok({ nbf: now + 75 })).toBe(false);
  });

  it('is looked at again within a minute', async () => {
    const settings = await open();
    const principal = await create(house, settings).verify(await fake.sign(accessClaims(fake, AUDIENCE)));
    expect(principal?.recheckAt).toBeLessThanOrEqual(Date.now() / 1000 + 60);
  });

  it('carries the key a token is bound to (RFC 9449)', async () => {
    const settings = await open();
    const token = await fake.sign({ ...accessClaims(fake, AUDIENCE), cnf: { jkt: 'thumb' } });
    expect((await create(house, settings).verify(token))?.jkt).toBe('thumb');
  });

  it('the log names the cure when the audience is refused, once a minute', async () => {
    const settings = await open();
    const verifier = create(house, settings);
    for (let i = 0; i < 3; i++) await verifier.verify(await fake.sign(accessClaims(fake, 'https://other.example')));
    expect(house.lines).toHaveLength(1);
    expect(house.lines[0]).toContain('https://other.example');
    expect(house.lines[0]).toContain(AUDIENCE);
  });

  it('names the authorization servers it was told', async () => {
    const settings = await open();
    const verifier = create(house, { ...settings, authorizationServers: 'https://as.example' });
    expect((verifier as unknown as NamesAuthorizationServers).authorizationServers).toEqual(['https://as.example']);
  });

  it('tells of a dead issuer at the start; whether it answers can be asked, with a key in the settings it cannot', async () => {
    const { jwksUri, issuer } = await open();
    fake.fault('GET /jwks', { status: 404, body: {} });
    const verifier = create(house, { jwksUri, issuer }) as TokenVerifier & Runs & Probes;
    await verifier.open();
    await vi.waitFor(() => expect(house.lines.join()).toMatch(/error jwt: the keys at http.*\/jwks cannot be had/));
    await verifier.close();
    await expect(verifier.probe()).rejects.toThrow(UpstreamUnavailable);
    fake.mend();
    await verifier.probe();
    expect((create(house, { secret: SECRET, issuer }) as Partial<Probes>).probe).toBeUndefined();
  });

  const pemOfType = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
  it.each([
    ['RSA of 1024 bits', generateKeyPairSync('rsa', { modulusLength: 1024 }), /RSA key of 1024 bits.*2048/],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }), /curve secp256k1/],
    ['Ed448', generateKeyPairSync('ed448'), /type ed448/],
    ['X25519', generateKeyPairSync('x25519'), /type x25519/],
    ['RSA-PSS', generateKeyPairSync('rsa-pss', { modulusLength: 2048 }), /type rsa-pss/],
  ])('sec-35: refuses a PUBLIC_KEY of %s, and says why', async (_, pair, reason) => {
    await open();
    const publicKey = pemOfType(pair.publicKey);
    const { issues = [] } = jwt.definition.settings.safeParse({ issuer: 'i', publicKey }).error ?? {};
    expect(issues.map(({ path, message }) => `${path.join()}: ${message}`)).toEqual([
      expect.stringMatching(new RegExp(`^publicKey: cannot be used: .*${reason.source}`)),
    ]);
  });

  it.each([
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['PS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['ES512', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ])('accepts %s with a fitting PUBLIC_KEY', async (alg, pair) => {
    const { issuer } = await open();
    const verifier = create(house, { issuer, publicKey: pemOfType(pair.publicKey), algorithms: alg });
    const token = await new SignJWT(accessClaims(fake, AUDIENCE)).setProtectedHeader({ alg }).sign(pair.privateKey);
    expect(await verifier.verify(token)).not.toBeNull();
  });

  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  it.each([
    ['nothing', {}, ['issuer', 'jwksUri']],
    ['no key', { issuer: 'i' }, ['jwksUri']],
    ['no issuer', { secret: SECRET }, ['issuer']],
    ['two keys', { issuer: 'i', jwksUri: 'https://i.example/jwks', secret: SECRET }, ['secret']],
    [
      'three keys',
      { issuer: 'i', jwksUri: 'https://i.example/jwks', secret: SECRET, publicKey: pem },
      ['publicKey', 'secret'],
    ],
    ['a short secret', { issuer: 'i', secret: 'short' }, ['secret']],
    ['a key that is none', { issuer: 'i', publicKey: 'hello' }, ['publicKey']],
    [
      'a private key',
      { issuer: 'i', publicKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
      ['publicKey'],
    ],
    ['HS256 with a JWKS', { issuer: 'i', jwksUri: 'https://i.example/jwks', algorithms: 'HS256' }, ['algorithms']],
    ['RS256 with a secret', { issuer: 'i', secret: SECRET, algorithms: 'RS256' }, ['algorithms']],
    ['RS256 with an EC key', { issuer: 'i', publicKey: pem, algorithms: 'RS256' }, ['algorithms']],
    ['none', { issuer: 'i', secret: SECRET, algorithms: 'none' }, ['algorithms']],
    ['a JWKS over http', { issuer: 'i', jwksUri: 'http://i.example/jwks' }, ['jwksUri']],
    ['a JWKS that is no URL', { issuer: 'i', jwksUri: 'jwks' }, ['jwksUri']],
    ['servers that are no URLs', { issuer: 'i', secret: SECRET, authorizationServers: 'as' }, ['authorizationServers']],
  ])('refuses %s by name', async (_, settings, names) => {
    await open();
    const issues = jwt.definition.settings.safeParse(settings).error?.issues ?? [];
    expect([...new Set(issues.map(({ path }) => String(path[0])))].sort()).toEqual(names);
  });
});
