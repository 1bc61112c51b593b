import { z } from 'zod';
import { httpUrl, scopes, secret } from '../../config/values.js';
import { defineProvider } from '../contract.js';
import { protectedUrl } from '../loopback.js';
import { OpenIdLogin } from '../openid-login.js';

const settings = z.object({
  issuer: httpUrl()
    .refine(...protectedUrl)
    .describe(
      'Issuer, exactly as the provider writes it; its metadata is discovered at `<issuer>/.well-known/openid-configuration`',
    ),
  clientId: z.string().min(1).describe('Client ID'),
  clientSecret: secret().optional().describe('Client secret; without it the client is public and held by PKCE'),
  scopes: scopes()
    .refine((values) => values.includes('openid'), { error: 'wants openid among the scopes' })
    .default(['openid', 'profile', 'email'])
    .describe('Scopes asked for; with `offline_access` the person is asked to consent and tokens can be refreshed'),
  label: z.string().min(1).max(40).optional().describe('Name on the login page. Default: the issuer’s host'),
});

/** Sign in at any OpenID Connect provider that offers discovery: Keycloak, authentik, Zitadel, Auth0, Okta, Entra ID. */
export const oidc = defineProvider({
  kind: 'oidc',
  sort: 'login',
  settings,
  create: (id, settings, house) =>
    new OpenIdLogin(id, { ...settings, label: settings.label ?? new URL(settings.issuer).host }, house),
});
