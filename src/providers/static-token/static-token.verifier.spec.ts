import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testHouse, type TestHouse } from '../../testing/house.js';
import type { Runs, TokenVerifier } from '../contract.js';
import { staticToken } from './static-token.verifier.js';

const { definition } = staticToken;
type Verifier = TokenVerifier & Runs & { onChange(listener: () => void): void };

describe('static tokens', () => {
  let cwd: string;
  let house: TestHouse;

  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'gatehouse-'));
    house = testHouse({ cwd });
  });
  afterEach(async () => {
    rmSync(cwd, { recursive: true });
    await house.close();
  });

  const make = (settings: Parameters<typeof staticToken>[0]): Verifier =>
    definition.create('ci', definition.settings.parse(settings), house) as Verifier;

  it('know who a token belongs to', async () => {
    const verifier = make({
      tokens: '{"dev-token-123":{"client_id":"local-dev-client","scopes":["basic"],"expires_at":1893456000}}',
    });
    expect(await verifier.verify('dev-token-123')).toEqual({
      key: 'ci:local-dev-client',
      user: null,
      subject: 'local-dev-client',
      client: 'local-dev-client',
      scopes: ['basic'],
      roles: [],
      via: 'ci',
      expiresAt: 1893456000,
    });
    expect(await verifier.verify('dev-token-124')).toBeNull();
    expect(await verifier.verify('')).toBeNull();
  });

  it('RS-9: end at expires_at', async () => {
    const past = Math.floor(Date.now() / 1000) - 1;
    expect(
      await make({ tokens: { 'old-token-1': { client_id: 'x', expires_at: past } } }).verify('old-token-1'),
    ).toBeNull();
  });

  it.each([
    ['text that is not JSON', 'dev-token-123'],
    ['a token without client_id', '{"dev-token-123":{}}'],
    ['an unknown member', '{"dev-token-123":{"client_id":"x","scope":"a"}}'],
    ['an empty token', '{"":{"client_id":"x"}}'],
    ['a token with a space', '{"dev token 123":{"client_id":"x"}}'],
  ])('sec-48: refuse %s', (_, tokens) => {
    expect(definition.settings.safeParse({ tokens }).success).toBe(false);
  });

  describe('in a file', () => {
    const file = (name = 'tokens.json'): string => join(cwd, name);
    const tokens = (token: string): string => JSON.stringify({ [token]: { client_id: token.split('-')[0] } });
    const soon = <T>(look: () => T | Promise<T>): Promise<T> => vi.waitFor(look, { timeout: 10_000, interval: 20 });
    const becomes = (verifier: Verifier, token: string): Promise<void> =>
      soon(async () => expect(await verifier.verify(token)).not.toBeNull());
    const running = async (tokensFile: string, play: (verifier: Verifier) => Promise<void>): Promise<void> => {
      const verifier = make({ tokensFile });
      await verifier.open();
      await play(verifier).finally(() => verifier.close());
    };

    it('are read again when it is written over', async () => {
      writeFileSync(file(), tokens('first-token'));
      await running('tokens.json', async (verifier) => {
        let changes = 0;
        verifier.onChange(() => changes++);
        writeFileSync(file(), tokens('other-token'));
        await becomes(verifier, 'other-token');
        expect(await verifier.verify('first-token')).toBeNull();
        expect(changes).toBe(1);
      });
    });

    it('are read again when it is replaced by rename, also between construction and start', async () => {
      const replace = (text: string): void => {
        writeFileSync(file('new'), text);
        renameSync(file('new'), file());
      };
      replace(tokens('first-token'));
      const verifier = make({ tokensFile: 'tokens.json' });
      replace(tokens('early-token'));
      await verifier.open();
      try {
        expect(await verifier.verify('early-token')).not.toBeNull();
        expect(await verifier.verify('first-token')).toBeNull();
        replace(tokens('later-token'));
        await becomes(verifier, 'later-token');
      } finally {
        await verifier.close();
      }
    });

    it('are read again when a link on the way leads elsewhere, as Kubernetes swaps secrets', async () => {
      for (const [version, token] of [
        ['v1', 'first-token'],
        ['v2', 'other-token'],
      ] as const) {
        mkdirSync(join(cwd, version));
        writeFileSync(join(cwd, version, 'tokens.json'), tokens(token));
      }
      symlinkSync('v1', file('data'));
      symlinkSync(join('data', 'tokens.json'), file());
      await running('tokens.json', async (verifier) => {
        symlinkSync('v2', file('data.new'));
        renameSync(file('data.new'), file('data'));
        await becomes(verifier, 'other-token');
      });
    });

    it('sec-47: keep the last list while it is broken or gone, told once and without its content', async () => {
      writeFileSync(file(), tokens('first-token'));
      await running('tokens.json', async (verifier) => {
        writeFileSync(file(), '{"third-token":');
        await soon(() => expect(house.lines.join()).toContain('it is not JSON'));
        expect(await verifier.verify('first-token')).not.toBeNull();
        rmSync(file());
        await soon(() => expect(house.lines.join()).toContain('ENOENT'));
        expect(await verifier.verify('first-token')).not.toBeNull();
        writeFileSync(file(), tokens('other-token'));
        await becomes(verifier, 'other-token');
        expect(house.lines).toHaveLength(2);
        expect(house.lines.join()).not.toContain('third-token');
      });
    });
  });

  it('an unreadable file stops the start, by name', () => {
    expect(() => make({ tokensFile: 'absent.json' })).toThrow(/absent\.json/);
  });
});
