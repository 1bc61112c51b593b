import { afterEach, describe, expect, it } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { describeTokenVerifier } from '../../../test/contracts/token-verifier.js';
import { type Probes, type ProviderHouse, type Runs, type TokenVerifier, UpstreamUnavailable } from '../contract.js';
import { introspection } from './introspection.verifier.js';

type Input = Parameters<typeof introspection>[0];

function create(fake: FakeOidc, house: ProviderHouse, over: Partial<Input> = {}, id = 'introspection'): TokenVerifier {
  const settings = introspection.definition.settings.parse({
    url: `${fake.origin}/introspect`,
    clientId: fake.clientId,
    clientSecret: fake.clientSecret,
    ...over,
  });
  return introspection.definition.create(id, settings, house) as TokenVerifier;
}

describeTokenVerifier('introspection', {
  bad: ['an unknown token', 'a forgotten token'],
  hasUpstream: true,
  open: async () => {
    const fake = await new FakeOidc().listen();
    return {
      fake,
      route: 'POST /introspect',
      create: (house, id) => create(fake, house, {}, id),
      good: (scopes) => Promise.resolve(fake.mintOpaque([...scopes])),
      bad: {
        'an unknown token': () => Promise.resolve('no-such-token'),
        'a forgotten token': () => {
          const token = fake.mintOpaque();
          fake.forgetTokens();
          return Promise.resolve(token);
        },
      },
    };
  },
});

describe('introspection', () => {
  let fake: FakeOidc;
  let house: TestHouse;
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const open = async (options: ConstructorParameters<typeof FakeOidc>[0] = {}): Promise<void> => {
    fake = await new FakeOidc(options).listen();
    house = testHouse();
  };
  const now = Math.floor(Date.now() / 1000);

  it.each([
    ['active as text', { active: 'true' }],
    ['active as a number', { active: 1 }],
    ['active null', { active: null }],
    ['no active', {}],
    ['an end in the past', { active: true, exp: now - 60 }],
    ['a begin in the future', { active: true, nbf: now + 600 }],
    ['an end that is text', { active: true, exp: String(now + 60) }],
    ['a refresh token', { active: true, token_use: 'refresh_token' }],
  ])('an answer with %s is no', async (_, body) => {
    await open();
    fake.fault('POST /introspect', { body: { sub: 'a', ...body } });
    expect(await create(fake, house).verify('t')).toBeNull();
  });

  it.each([
    ['missing', undefined, false],
    ['another', 'https://other.example', false],
    ['ours', 'https://us.example', true],
    ['a list with ours', ['x', 'https://us.example'], true],
  ])('with AUDIENCE an aud that is %s decides', async (_, aud, accepted) => {
    await open();
    fake.person['aud'] = aud;
    const verifier = create(fake, house, { audience: 'https://us.example' });
    expect((await verifier.verify(fake.mintOpaque())) !== null).toBe(accepted);
  });

  it('without AUDIENCE the start calls it unsafe and names the variable; with one it does not', async () => {
    await open();
    await (create(fake, house, { audience: 'https://us.example' }) as unknown as Runs).open();
    expect(house.lines).toEqual([]);
    await (create(fake, house, {}, 'corp-hub') as unknown as Runs).open();
    expect(house.lines).toHaveLength(1);
    expect(house.lines[0]).toMatch(/^warn unsafe: corp-hub accepts every active token.*GATEHOUSE_CORP_HUB_AUDIENCE/);
  });

  it('a probe is an answer to a token that nobody has; refused credentials and silence are none', async () => {
    await open();
    await (create(fake, house) as unknown as Probes).probe();
    await expect((create(fake, house, { clientSecret: 'wrong' }) as unknown as Probes).probe()).rejects.toThrow('401');
    fake.fault('POST /introspect', { body: '<html>' });
    await expect((create(fake, house) as unknown as Probes).probe()).rejects.toThrow(UpstreamUnavailable);
  });

  it('a refused audience is told, with the cure for its issuer', async () => {
    await open();
    fake.fault('POST /introspect', {
      body: { active: true, sub: 'a', iss: 'https://id.acme.example/realms/acme', aud: ['account'] },
    });
    expect(await create(fake, house, { audience: 'https://us.example' }).verify('t')).toBeNull();
    expect(house.lines.join()).toMatch(
      /\["account"\] was refused; wanted is https:\/\/us\.example.*mapper of type Audience/,
    );
  });

  it('holds an answer for CACHE_TTL seconds and no longer', async () => {
    await open();
    const principal = await create(fake, house, { cacheTtl: '7s' }).verify(fake.mintOpaque());
    expect(principal?.recheckAt).toBeGreaterThanOrEqual(now + 7);
    expect(principal?.recheckAt).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) + 7);
  });

  it('posts the credentials in the body when told so', async () => {
    await open();
    await create(fake, house, { authMethod: 'client_secret_post' }).verify(fake.mintOpaque());
    const [request] = fake.requests;
    expect(request?.headers.authorization).toBeUndefined();
    expect(request?.form.get('client_secret')).toBe(fake.clientSecret);
  });

  it('Basic reaches servers that decode and servers that do not', async () => {
    for (const decodes of [true, false]) {
      await open({ clientId: 'mcp-client_1.x', clientSecret: 'a-b_c.d' });
      fake.decodesBasic = decodes;
      expect(await create(fake, house).verify(fake.mintOpaque())).not.toBeNull();
      await fake.close();
      await house.close();
    }
    await open({ clientId: 'with space', clientSecret: 'p%:ss+w' });
    expect(await create(fake, house).verify(fake.mintOpaque())).not.toBeNull();
  });

  it('bad credentials of ours are our failure: 503, and the log says what to check', async () => {
    await open();
    await expect(create(fake, house, { clientSecret: 'wrong' }).verify('t')).rejects.toThrow(UpstreamUnavailable);
    expect(house.lines.join()).toMatch(/client id, secret/);
  });

  it.each([
    ['invalid_request', null],
    ['unsupported_token_type', null],
  ])('a server that answers 400 %s for a kind of token it cannot introspect says no', async (error, verdict) => {
    await open();
    fake.fault('POST /introspect', { status: 400, body: { error } });
    expect(await create(fake, house).verify('t')).toBe(verdict);
  });

  it('400 invalid_client is our failure', async () => {
    await open();
    fake.fault('POST /introspect', { status: 400, body: { error: 'invalid_client' } });
    await expect(create(fake, house).verify('t')).rejects.toThrow(UpstreamUnavailable);
  });

  it('a token without subject still has a stable key', async () => {
    await open();
    fake.fault('POST /introspect', { body: { active: true } });
    const verifier = create(fake, house);
    const [one, again, other] = [await verifier.verify('a'), await verifier.verify('a'), await verifier.verify('b')];
    expect(one?.key).toBe(again?.key);
    expect(one?.key).not.toBe(other?.key);
    expect(one?.expiresAt).toBeNull();
  });

  it.each([
    [{}, ['clientId', 'clientSecret', 'url']],
    [{ url: 'http://as.example/introspect', clientId: 'a', clientSecret: 'b' }, ['url']],
    [{ url: 'https://as.example', clientId: 'a', clientSecret: 'b', cacheTtl: '61s' }, ['cacheTtl']],
    [{ url: 'https://as.example', clientId: 'a', clientSecret: 'b', authMethod: 'none' }, ['authMethod']],
  ])('refuses %j by name', async (settings, names) => {
    await open();
    const issues = introspection.definition.settings.safeParse(settings).error?.issues ?? [];
    expect(issues.map(({ path }) => String(path[0])).sort()).toEqual(names);
  });
});
