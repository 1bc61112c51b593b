import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, signIn, TestClient } from '../oauth-client.js';

describe.each([undefined, '/sso/back/'])('a FastMCP 2 configuration, _REDIRECT_PATH %s', (redirectPath) => {
  const path = redirectPath ?? '/auth/callback';
  let github: FakeGitHub;
  let gatehouse: RunningGatehouse;

  beforeAll(async () => {
    const port = await freePort();
    const publicUrl = `http://localhost:${port}`;
    // Registered upstream with FastMCP's callback and no other.
    github = await new FakeGitHub({
      clientId: 'Ov23li',
      clientSecret: 'fastmcp-secret',
      redirectUris: [`${publicUrl}${path}`],
    }).listen();
    gatehouse = await startGatehouse({
      port,
      env: {
        FASTMCP_SERVER_AUTH: 'fastmcp.server.auth.providers.github.GitHubProvider',
        FASTMCP_SERVER_AUTH_GITHUB_CLIENT_ID: 'Ov23li',
        FASTMCP_SERVER_AUTH_GITHUB_CLIENT_SECRET: 'fastmcp-secret',
        FASTMCP_SERVER_AUTH_GITHUB_BASE_URL: publicUrl,
        ...(redirectPath ? { FASTMCP_SERVER_AUTH_GITHUB_REDIRECT_PATH: redirectPath } : {}),
        // Where GitHub is, for this test only.
        GATEHOUSE_GITHUB_BASE_URL: github.origin,
        GATEHOUSE_GITHUB_API_URL: github.origin,
      },
    });
  });
  afterAll(async () => {
    await gatehouse.close();
    await github.close();
  });

  it('U3: boots unchanged and signs people in by the callback that is registered', async () => {
    const client = await TestClient.register(gatehouse.url);
    const { accessToken, browser } = await signIn(client);
    expect(browser.seen.some(({ url }) => url.pathname === path)).toBe(true);
    expect((await callTool(gatehouse.mcpUrl, accessToken, 'hello', { name: 'FastMCP' })).status).toBe(200);
  });
});
