import { describe, expect, it } from 'vitest';
import { UpstreamUnavailable, type Principal, type TokenVerifier } from '../providers/contract.js';
import { VerifiedTokens } from './verified-tokens.js';
import { Verifiers } from './verifiers.js';

const principal = (over: Partial<Principal> = {}): Principal => ({
  key: 'user:u1',
  user: { id: 'u1' },
  subject: 'u1',
  client: 'c1',
  scopes: [],
  roles: [],
  via: 'test',
  expiresAt: null,
  tokenId: 't1',
  grantId: 'g1',
  ...over,
});

/** A verifier that answers by a table and remembers what it was asked. */
class Table implements TokenVerifier {
  readonly asked: string[] = [];
  constructor(
    readonly id: string,
    private readonly answers: Record<string, Principal | Error>,
  ) {}
  async verify(token: string): Promise<Principal | null> {
    this.asked.push(token);
    const answer = this.answers[token] ?? null;
    if (answer instanceof Error) throw answer;
    return answer;
  }
}

describe('verifiers', () => {
  it('are asked in order, until one accepts', async () => {
    const verifiers = new Verifiers();
    const [first, second, third] = [
      new Table('1', {}),
      new Table('2', { t: principal() }),
      new Table('3', { t: principal() }),
    ];
    for (const verifier of [first, second, third]) verifiers.add(verifier);
    expect(await verifiers.verify('t')).toEqual(principal());
    expect([first.asked, second.asked, third.asked]).toEqual([['t'], ['t'], []]);
  });

  it('sec-35: after one is unavailable the rest are asked, and only a no of all of them is undecided', async () => {
    const verifiers = new Verifiers();
    verifiers.add(new Table('down', { a: new UpstreamUnavailable('down'), b: new UpstreamUnavailable('down') }));
    verifiers.add(new Table('up', { a: principal() }));
    expect(await verifiers.verify('a')).toEqual(principal());
    await expect(verifiers.verify('b')).rejects.toThrow(UpstreamUnavailable);
    expect(await verifiers.verify('c')).toBeNull();
  });

  it('sec-35: a verifier that fails over a token keeps no other from accepting it', async () => {
    const verifiers = new Verifiers();
    const bug = new TypeError('a bug');
    verifiers.add(new Table('broken', { a: bug, b: bug, c: bug }));
    verifiers.add(new Table('down', { c: new UpstreamUnavailable('down') }));
    verifiers.add(new Table('up', { a: principal() }));
    expect(await verifiers.verify('a')).toEqual(principal());
    await expect(verifiers.verify('b')).rejects.toBe(bug);
    await expect(verifiers.verify('c')).rejects.toThrow(UpstreamUnavailable);
    expect(await verifiers.verify('d')).toBeNull();
  });

  it('sec-32: a token with a prefix of ours never reaches a foreign verifier', async () => {
    const verifiers = new Verifiers();
    const [own, foreign] = [
      new Table('own', {}),
      new Table('foreign', { gth_pat_x: principal(), gth_rt_x: principal() }),
    ];
    verifiers.addOwn('gth_pat_', own);
    verifiers.add(foreign);
    expect(await verifiers.verify('gth_pat_x')).toBeNull();
    expect(await verifiers.verify('gth_rt_x')).toBeNull();
    expect(own.asked).toEqual(['gth_pat_x']);
    expect(foreign.asked).toEqual([]);
  });
});

describe('the verified-token cache', () => {
  const cacheOver = (answers: Record<string, Principal | Error>) => {
    const verifiers = new Verifiers();
    const table = new Table('table', answers);
    verifiers.add(table);
    return { cache: new VerifiedTokens(verifiers), table, answers };
  };

  it('asks once, parallel calls included', async () => {
    const { cache, table } = cacheOver({ t: principal() });
    await Promise.all([cache.find('t'), cache.find('t'), cache.find('t')]);
    await cache.find('t');
    expect(table.asked).toEqual(['t']);
  });

  it('never mixes tokens', async () => {
    const { cache } = cacheOver({ a: principal({ key: 'user:a' }), b: principal({ key: 'user:b' }) });
    const keys = await Promise.all(['a', 'b', 'a', 'b', 'c'].map(async (token) => (await cache.find(token))?.key));
    expect(keys).toEqual(['user:a', 'user:b', 'user:a', 'user:b', undefined]);
  });

  it.each([
    ['token', 't1'],
    ['grant', 'g1'],
    ['user', 'u1'],
    ['client', 'c1'],
  ] as const)('T10: forgets by %s, and tells who holds streams', async (kind, id) => {
    const { cache, table, answers } = cacheOver({ t: principal() });
    const told: string[] = [];
    cache.onForgotten((forgotten) => told.push(...[...forgotten].map(({ key }) => key)));
    await cache.find('t');
    delete answers['t'];
    cache.forget(kind, `not ${id}`);
    expect(await cache.find('t')).not.toBeNull();
    cache.forget(kind, id);
    expect(await cache.find('t')).toBeNull();
    expect(table.asked).toEqual(['t', 't']);
    expect(told).toEqual(['user:u1']);
  });

  it('does not remember an answer that was on its way while a revocation came', async () => {
    const verifiers = new Verifiers();
    let answer!: (principal: Principal) => void;
    let asked = 0;
    verifiers.add({
      id: 'slow',
      verify: () => {
        asked++;
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const cache = new VerifiedTokens(verifiers);
    const first = cache.find('t');
    cache.forget('grant', 'g1');
    answer(principal());
    await first;
    const second = cache.find('t');
    answer(principal());
    await second;
    expect(asked).toBe(2);
  });

  it('asks again once the token expired, or its verifier wants to look again', async () => {
    const now = Date.now() / 1000;
    const { cache, table } = cacheOver({
      old: principal({ expiresAt: now - 1 }),
      soon: principal({ expiresAt: now + 60, recheckAt: now - 1 }),
      gone: principal({ expiresAt: now - 100 }),
    });
    for (const token of ['old', 'old', 'soon', 'soon']) expect(await cache.find(token)).not.toBeNull();
    expect(await cache.find('gone')).toBeNull();
    expect(table.asked).toEqual(['old', 'old', 'soon', 'soon', 'gone']);
  });

  it('is passed over while revocations cannot be heard', async () => {
    const { cache, table } = cacheOver({ t: principal() });
    await cache.find('t');
    cache.bypass(true);
    await cache.find('t');
    expect(table.asked).toEqual(['t', 't']);
    cache.bypass(false);
    await cache.find('t');
    expect(table.asked).toEqual(['t', 't']);
  });
});
