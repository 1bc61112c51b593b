import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../gatehouse.js';
import { startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe('behind a proxy that ends TLS', () => {
  const PUBLIC = 'https://mcp.example.com';
  let house: WithGitHub;
  let address: string;

  beforeAll(async () => {
    const port = await freePort();
    address = `http://127.0.0.1:${port}`;
    house = await startWithGitHub({ port, env: { GATEHOUSE_PUBLIC_URL: PUBLIC, GATEHOUSE_ALLOW: '*' } });
  });
  afterAll(() => house.close());

  it('D4, AS-18: every URL is the public one, and cookies are `__Host-`, Secure, HttpOnly and Lax', async () => {
    const client = await TestClient.register(address);
    const metadata = (await (await fetch(`${address}/.well-known/oauth-authorization-server`)).json()) as Record<
      string,
      unknown
    >;
    expect(metadata['issuer']).toBe(PUBLIC);
    expect(metadata['token_endpoint']).toBe(`${PUBLIC}/token`);
    const begun = await fetch(client.authorizeUrl({ resource: `${PUBLIC}/mcp` }), { redirect: 'manual' });
    expect(begun.headers.get('location')).toMatch(/^\/login\//);
    const jar = begun.headers.getSetCookie();
    expect(jar.length).toBeGreaterThan(1);
    const cookie = jar.map((line) => line.split(';')[0]).join('; ');
    const page = await fetch(`${address}${begun.headers.get('location')}`, { headers: { cookie } });
    expect(page.status).toBe(200);
    for (const line of [...jar, ...page.headers.getSetCookie()]) {
      expect(line).toMatch(/secure/i);
      expect(line).toMatch(/httponly/i);
      expect(line).toMatch(/samesite=lax/i);
      expect(line).not.toMatch(/domain=/i);
    }
    const refused = await fetch(client.authorizeUrl({ code_challenge: undefined }), { redirect: 'manual' });
    expect(new URL(refused.headers.get('location')!).searchParams.get('iss')).toBe(PUBLIC);
    const foreign = await fetch(client.authorizeUrl(), { redirect: 'manual' });
    expect(new URL(foreign.headers.get('location')!).searchParams.get('error')).toBe('invalid_target');
  });
});
