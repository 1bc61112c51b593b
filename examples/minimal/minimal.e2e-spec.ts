import type { AddressInfo } from 'node:net';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createApp } from '../../src/index.js';

let app: NestFastifyApplication;
let url: string;
beforeAll(async () => {
  vi.stubEnv('GATEHOUSE_DATABASE_URL', 'sqlite::memory:');
  vi.stubEnv('GATEHOUSE_SECRET', Buffer.alloc(32, 1).toString('base64'));
  vi.stubEnv(
    'GATEHOUSE_STATIC_TOKEN_TOKENS',
    JSON.stringify({
      'dev-token-123': { client_id: 'me', scopes: ['mcp'] },
      'dev-token-456': { client_id: 'you', scopes: ['mcp'] },
    }),
  );
  // Imported now, because the module reads the environment when it is loaded.
  const { AppModule } = await import('./app.module.js');
  app = await createApp(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  url = `http://localhost:${(app.getHttpServer().address() as AddressInfo).port}/mcp`;
});
afterAll(async () => {
  await app.close();
  vi.unstubAllEnvs();
});

async function connect(token: string): Promise<Client> {
  const client = new Client({ name: 'example', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}

it('serves its tools and its resource, to each caller their own', async () => {
  const me = await connect('dev-token-123');
  const you = await connect('dev-token-456');
  expect((await me.listTools()).tools.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['hello', 'whoami', 'addNote', 'listNotes']),
  );
  await me.callTool({ name: 'addNote', arguments: { text: 'milk' } });
  const mine = await me.callTool({ name: 'listNotes', arguments: {} });
  expect(mine.structuredContent).toEqual({ notes: ['milk'] });
  expect((await you.callTool({ name: 'listNotes', arguments: {} })).structuredContent).toEqual({ notes: [] });
  const { contents } = await me.readResource({ uri: 'notes://mine' });
  expect(contents).toEqual([{ uri: 'notes://mine', mimeType: 'text/plain', text: 'milk' }]);
  await me.close();
  await you.close();
});
