import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProviderHouse, Runs, TokenVerifier } from '../contract.js';
import { staticToken } from './static-token.verifier.js';

const { definition } = staticToken;
type Verifier = TokenVerifier & Runs & { onChange(listener: () => void): void };

describe('static tokens', () => {
  let cwd: string;
  let errors: string[];
  let house: ProviderHouse;

  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'gatehouse-'));
    errors = [];
    const send = () => Promise.reject(new Error('nothing goes out'));
    house = {
      outbound: { send },
      publicUrl: 'http://localhost:8000',
      mcpUrl: 'http://localhost:8000/mcp',
      ruleKinds: new Set(),
      cwd,
      log: { warn() {}, error: (message) => errors.push(message) },
    };
  });
  afterEach(() => rmSync(cwd, { recursive: true }));

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

  it('are read again when their file changes, and keep the last list when it is broken', async () => {
    const file = join(cwd, 'tokens.json');
    const replace = (text: string): void => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    replace('{"first-token":{"client_id":"a"}}');
    const verifier = make({ tokensFile: 'tokens.json' });
    let changes = 0;
    verifier.onChange(() => changes++);
    await verifier.open();
    try {
      replace('{"second-token":{"client_id":"b"}}');
      await vi.waitFor(() => expect(changes).toBe(1), { timeout: 10_000 });
      expect(await verifier.verify('first-token')).toBeNull();
      expect((await verifier.verify('second-token'))?.client).toBe('b');
      replace('{"third-token":');
      await vi.waitFor(() => expect(errors).toHaveLength(1), { timeout: 10_000 });
      expect(errors[0]).not.toContain('third-token');
      expect(await verifier.verify('second-token')).not.toBeNull();
    } finally {
      await verifier.close();
    }
  });

  it('an unreadable file stops the start, by name', () => {
    expect(() => make({ tokensFile: 'absent.json' })).toThrow(/absent\.json/);
  });
});
