import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppModule } from './app.module.js';

let app: NestFastifyApplication;
let origin: string;
beforeAll(async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  origin = `http://localhost:${port}`;
  const root = AppModule.at(origin, randomBytes(32).toString('base64'));
  app = await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter(), { logger: false });
  await app.listen(port, '127.0.0.1');
});
afterAll(() => app.close());

it.each(['/mcp', '/mcp/'])('serves the tools of the application at %s', async (path) => {
  const client = new Client({ name: 'example', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: 'Bearer shop-token-123' } };
  await client.connect(new StreamableHTTPClientTransport(new URL(path, origin), { requestInit }));
  const result = await client.callTool({ name: 'stockOf', arguments: { item: 'apple' } });
  expect(result.structuredContent).toEqual({ count: 3 });
  await client.close();
});

it('leaves the application’s own routes as they were', async () => {
  const response = await fetch(`${origin}/stock`);
  expect([response.status, await response.json()]).toEqual([200, { apple: 3 }]);
  expect(response.headers.get('access-control-allow-origin')).toBeNull();
  expect((await fetch(`${origin}/stock/none`)).status).toBe(404);
});

it('guards its endpoint there too', async () => {
  const response = await fetch(`${origin}/mcp`, {
    method: 'POST',
    body: '{',
    headers: { 'content-type': 'application/json' },
  });
  expect(response.status).toBe(401);
});
