import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tool } from '../../src/index.js';
import { startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { realClients } from '../mcp.js';

@Injectable()
class GuardedTools {
  @Tool({ description: 'Needs the scope notes:write', scopes: ['notes:write'] })
  writeNote(): string {
    return 'written';
  }
}

const TOKENS = JSON.stringify({
  [TOKEN]: { client_id: 'local-dev-client', scopes: ['basic'] },
  'writer-token-123': { client_id: 'writer', scopes: ['basic', 'notes:write'] },
  'expired-token-123': { client_id: 'late', scopes: ['basic'], expires_at: 1_000_000_000 },
});

describe.each(['off', 'on'])('with GATEHOUSE_LEGACY_SESSIONS=%s', (sessions) => {
  let gatehouse: RunningGatehouse;
  beforeAll(async () => {
    gatehouse = await startGatehouse({
      env: { GATEHOUSE_LEGACY_SESSIONS: sessions, GATEHOUSE_STATIC_TOKEN_TOKENS: TOKENS },
      tools: [GuardedTools],
    });
  });
  afterAll(() => gatehouse.close());

  describe.each(Object.entries(realClients))('%s', (_, make) => {
    it('lists the tools and calls hello with the right token', async () => {
      const client = make(gatehouse.mcpUrl, TOKEN);
      await client.connect();
      expect(await client.tools()).toEqual(['hello', 'whoami']);
      expect(await client.call('hello', { name: 'ohad' })).toBe('hello, ohad');
      expect(JSON.parse(await client.call('whoami', {}))).toEqual({
        user: null,
        name: null,
        email: null,
        client: 'local-dev-client',
        scopes: ['basic'],
        via: 'static-token',
      });
      await client.close();
    });

    it('D3: is served at the path with a trailing slash too', async () => {
      const client = make(`${gatehouse.mcpUrl}/`, TOKEN);
      await client.connect();
      expect(await client.call('hello', { name: 'slash' })).toBe('hello, slash');
      await client.close();
    });

    it.each([
      ['a wrong token', 'wrong-token-1234'],
      ['an expired token', 'expired-token-123'],
      ['no token', null],
    ])('RS-9: is refused with %s', async (_case, token) => {
      const client = make(gatehouse.mcpUrl, token);
      await expect(client.connect()).rejects.toThrow(/401|unauthorized|bearer|invalid_token/i);
      await client.close();
    });

    it('RS-13: is refused a tool whose scope the token lacks, and not with a broader one', async () => {
      const poor = make(gatehouse.mcpUrl, TOKEN);
      await poor.connect();
      expect(await poor.tools()).not.toContain('writeNote');
      await expect(poor.call('writeNote', {})).rejects.toThrow(/403|insufficient.scope|lacks/i);
      await poor.close();
      const rich = make(gatehouse.mcpUrl, 'writer-token-123');
      await rich.connect();
      expect(await rich.tools()).toContain('writeNote');
      expect(await rich.call('writeNote', {})).toBe('written');
      await rich.close();
    });
  });
});
