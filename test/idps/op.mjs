// oidc-provider as an upstream that nobody here wrote: `node op.mjs generic|authkit PORT CALLBACK [RETURN]`, RETURN for sign-outs. Users: alice (verified e-mail), mallory (not); any password.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [, , layout = 'generic', port = '0', callback = '', back = ''] = process.argv;
const issuer = `http://localhost:${port}`;
const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const people = {
  alice: { email: 'alice@example.com', email_verified: true, name: 'Alice' },
  mallory: { email: 'mallory@example.com', email_verified: false },
};
const on = { enabled: true };
const scope = 'openid email profile offline_access';
const authkit = {
  routes: {
    authorization: '/oauth2/authorize',
    token: '/oauth2/token',
    userinfo: '/oauth2/userinfo',
    jwks: '/oauth2/jwks',
    registration: '/oauth2/register',
    introspection: '/oauth2/introspection',
    device_authorization: '/oauth2/device_authorization',
    revocation: '/oauth2/revoke',
  },
};

new Provider(issuer, {
  jwks: { keys: [{ ...jwk, use: 'sig', alg: 'RS256', kid: 'k1' }] },
  cookies: { keys: ['test'] },
  ...(layout === 'authkit' ? authkit : {}),
  clients: [
    {
      client_id: 'gatehouse',
      client_secret: 'op-secret',
      token_endpoint_auth_method: 'client_secret_post',
      application_type: 'web',
      redirect_uris: [callback],
      post_logout_redirect_uris: back === '' ? [] : [back],
      grant_types: ['authorization_code', 'refresh_token'],
      scope,
    },
    {
      client_id: 'an-mcp-client',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: `${scope} mcp`,
    },
    {
      client_id: 'introspector',
      client_secret: 'intro-secret-1',
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [],
      response_types: [],
      grant_types: [],
    },
  ],
  scopes: [...scope.split(' '), 'mcp'],
  claims: { email: ['email', 'email_verified'], profile: ['name'] },
  rotateRefreshToken: true,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  features: {
    devInteractions: on,
    // One of the two layouts names no end-session endpoint.
    rpInitiatedLogout: { enabled: layout !== 'authkit' },
    introspection: { ...on, allowedPolicy: () => true },
    revocation: on,
    registration: on,
    deviceFlow: on,
    resourceIndicators: {
      ...on,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, audience) => ({
        audience,
        scope: `${scope} mcp`,
        accessTokenFormat: audience.endsWith('opaque') ? 'opaque' : 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
}).listen(Number(port), '127.0.0.1', () => console.log(`ready ${issuer}`));
