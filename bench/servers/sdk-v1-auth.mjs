// The yardstick of the login bench: SDK v1's `mcpAuthRouter` over everything in memory. It has no login, no consent and no durability.
// Its published demo provider refreshes nothing, so tokens and refresh are kept here in the same manner.
import { randomUUID } from 'node:crypto';
import express from 'express';
import { mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';

const port = Number(process.env.PORT);
const clients = new Map();
const codes = new Map();
const refreshTokens = new Map();

const issue = (client, scopes) => {
  const refresh_token = randomUUID();
  refreshTokens.set(refresh_token, { client: client.client_id, scopes });
  return { access_token: randomUUID(), token_type: 'bearer', expires_in: 3600, refresh_token, scope: scopes.join(' ') };
};

const provider = {
  clientsStore: {
    getClient: async (id) => clients.get(id),
    registerClient: async (client) => (clients.set(client.client_id, client), client),
  },
  async authorize(client, params, response) {
    const code = randomUUID();
    codes.set(code, { client, params });
    const back = new URL(params.redirectUri);
    back.searchParams.set('code', code);
    if (params.state !== undefined) back.searchParams.set('state', params.state);
    response.redirect(back.href);
  },
  challengeForAuthorizationCode: async (_, code) => codes.get(code).params.codeChallenge,
  async exchangeAuthorizationCode(client, code) {
    const { params } = codes.get(code);
    codes.delete(code);
    return issue(client, params.scopes ?? []);
  },
  async exchangeRefreshToken(client, token) {
    const { scopes } = refreshTokens.get(token);
    refreshTokens.delete(token);
    return issue(client, scopes);
  },
  verifyAccessToken: async () => {
    throw new Error('the bench calls no tool here');
  },
};

const unlimited = { rateLimit: false };
express()
  .use(
    mcpAuthRouter({
      provider,
      issuerUrl: new URL(`http://localhost:${port}`),
      authorizationOptions: unlimited,
      tokenOptions: unlimited,
      clientRegistrationOptions: unlimited,
    }),
  )
  .listen(port, '127.0.0.1');
