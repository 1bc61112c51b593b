import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { createApp } from '../../src/index.js';
import { AppModule } from './app.module.js';

it('starts with every kind of provider, and names every authorization server', async () => {
  const app = await createApp(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/.well-known/oauth-protected-resource`, {
    headers: { host: 'mcp.acme.example' },
  });
  expect(await answer.json()).toMatchObject({
    resource: 'https://mcp.acme.example/mcp',
    authorization_servers: expect.arrayContaining([
      'https://mcp.acme.example',
      'https://acme.authkit.app',
      'https://as.acme.example',
    ]) as unknown,
  });
  await app.close();
});
