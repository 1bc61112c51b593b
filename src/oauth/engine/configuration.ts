import type { ClientMetadata as EngineClientMetadata, Configuration, JWKS, KoaContextWithOIDC } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Settings } from '../../config/settings.js';
import type { IdentityKey } from '../../providers/contract.js';
import { ASSERTION_ALGORITHMS, AUTH_METHODS } from '../../protocol/client-metadata.js';
import { engineCookieNames } from '../browser-cookies.js';
import { gatehousePolicy } from './interaction-policy.js';
import { adapterFor } from './adapter.js';
import type { EngineStores } from './model-adapter.js';
import { WITHHELD } from './request-fixes.js';

/** Seconds that the engine's things live. */
const LIFE = { code: 60, interaction: 600, browser: 14 * 86_400, idToken: 600, pushedRequest: 90 } as const;

/** What the engine asks of the house. */
export interface EngineHouse {
  readonly settings: Settings;
  readonly stores: EngineStores;
  /** The scopes a resource has: of `/mcp` those the tools declare, of the admin API `admin`. */
  readonly scopesOf: (resource: string) => readonly string[];
  /** undefined: unknown or blocked. */
  readonly findAccount: NonNullable<Configuration['findAccount']>;
  /** The account that no rule admits any more, when this request has found one. */
  readonly refusedIn: (ctx: KoaContextWithOIDC) => IdentityKey | undefined;
  readonly loadExistingGrant: NonNullable<Configuration['loadExistingGrant']>;
  readonly renderError: NonNullable<Configuration['renderError']>;
  readonly fetch: NonNullable<Configuration['fetch']>;
  readonly allowDocumentFetch: (ctx: KoaContextWithOIDC, clientId: string) => Promise<boolean>;
  readonly allowDocumentClient: (
    ctx: KoaContextWithOIDC,
    clientId: string,
    metadata: EngineClientMetadata,
  ) => Promise<boolean>;
}

/** oidc-provider's configuration; as-engine.md §1 gives the reasons. */
export function configurationOf(house: EngineHouse, keys: { jwks: JWKS; cookies: readonly string[] }): Configuration {
  const { settings } = house;
  const cookie = { signed: true, httpOnly: true, sameSite: 'lax', secure: settings.secure } as const;
  return {
    adapter: (model) => adapterFor(model, house.stores),
    jwks: keys.jwks,
    findAccount: house.findAccount,
    loadExistingGrant: house.loadExistingGrant,
    renderError: house.renderError,
    fetch: house.fetch,
    clientDefaults: {
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'ES256',
    },
    // Non-empty, or the engine drops what it does not know.
    extraClientMetadata: {
      properties: ['software_id', 'software_version', 'gatehouse_trusted', 'gatehouse_keys_read'],
      validator: () => undefined,
    },
    clientAuthMethods: [...AUTH_METHODS],
    responseTypes: ['code'],
    scopes: ['openid'],
    extraParams: { [WITHHELD]: refuseWithheld },
    claims: { openid: ['sub', 'name', 'email', 'email_verified'] },
    pkce: { required: () => true },
    enabledJWA: {
      idTokenSigningAlgValues: ['ES256'],
      clientAuthSigningAlgValues: [...ASSERTION_ALGORITHMS],
      dPoPSigningAlgValues: [...ASSERTION_ALGORITHMS],
    },
    clientBasedCORS: () => true,
    clockTolerance: 30,
    routes: {
      authorization: '/authorize',
      token: '/token',
      revocation: '/revoke',
      introspection: '/introspect',
      jwks: '/jwks',
      pushed_authorization_request: '/par',
    },
    cookies: { keys: [...keys.cookies], names: engineCookieNames(settings.secure), long: cookie, short: cookie },
    interactions: { policy: gatehousePolicy(house.refusedIn), url: (_, { prompt, uid }) => `/${prompt.name}/${uid}` },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    expiresWithSession: async () => false,
    revokeGrantPolicy: () => true,
    ttl: {
      AuthorizationCode: LIFE.code,
      AccessToken: settings.values.accessTokenTtl,
      RefreshToken: settings.values.refreshTokenTtl,
      Grant: settings.values.refreshTokenTtl,
      Interaction: LIFE.interaction,
      Session: LIFE.browser,
      IdToken: LIFE.idToken,
      PushedAuthorizationRequest: LIFE.pushedRequest,
    },
    features: featuresOf(house),
  };
}

/** Runs when client and redirect URI are known to be right, so that the error may go where the others go. */
function refuseWithheld(_: KoaContextWithOIDC, withheld: string | undefined): void {
  if (withheld === undefined) return;
  const those = withheld.split(' ').length > 1 ? 'any of these scopes' : 'this scope';
  throw new errors.InvalidScope(`an administrator does not allow this client ${those}: ${withheld}`, withheld);
}

function featuresOf(house: EngineHouse): NonNullable<Configuration['features']> {
  const { settings } = house;
  return {
    devInteractions: { enabled: false },
    userinfo: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    dPoP: { enabled: true },
    revocation: { enabled: true, allowedPolicy: async (_, client, token) => token.clientId === client.clientId },
    introspection: { enabled: true, allowedPolicy: async (_, client, token) => token.clientId === client.clientId },
    pushedAuthorizationRequests: { enabled: true },
    // `/register` is answered by us; the engine only reads what we stored.
    registration: { enabled: false },
    clientIdMetadataDocument: {
      enabled: settings.values.clientIdDocuments,
      ack: 'draft-02',
      allowFetch: async (ctx, clientId) => house.allowDocumentFetch(ctx, clientId),
      allowClient: async (ctx, client) => house.allowDocumentClient(ctx, client.clientId, client.metadata()),
      cacheDuration: { min: 30, max: 30 },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: async () => settings.mcpUrl,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_: KoaContextWithOIDC, resource: string) => {
        if (resource !== settings.mcpUrl && resource !== settings.adminUrl) throw new errors.InvalidTarget();
        return {
          audience: resource,
          scope: house.scopesOf(resource).join(' '),
          accessTokenFormat: 'opaque',
          accessTokenTTL: settings.values.accessTokenTtl,
        };
      },
    },
  };
}
