import { z } from 'zod';
import { httpUrl, scopes, secret } from '../../config/values.js';
import { defineProvider } from '../contract.js';
import { protectedUrl } from '../loopback.js';
import { OpenIdLogin } from '../openid-login.js';

const settings = z.object({
  authkitDomain: httpUrl()
    .refine((value) => !URL.canParse(value) || (new URL(value).pathname === '/' && !/[?#]/.test(value)), {
      error: 'wants an origin without a path, for example https://your-app.authkit.app',
    })
    .refine(...protectedUrl)
    .describe('The AuthKit domain, for example `https://your-app.authkit.app`'),
  clientId: z.string().min(1).describe('Client ID of the Connect application (type OAuth, confidential)'),
  clientSecret: secret().describe('Client secret'),
  scopes: scopes()
    .default(['openid', 'profile', 'email'])
    .describe('Scopes asked for; `openid` is added when it is missing'),
});

/** Sign in with WorkOS: a Connect application on an AuthKit domain, an OpenID Connect provider whose `org_id` the rule `workos-org` reads. */
export const workos = defineProvider({
  kind: 'workos',
  sort: 'login',
  settings,
  create: (id, { authkitDomain, scopes, ...rest }, house) => {
    // FastMCP's settings name what a token must carry, often without it.
    const asked = [...new Set(['openid', ...scopes])];
    return new OpenIdLogin(
      id,
      { ...rest, scopes: asked, issuer: new URL(authkitDomain).origin, label: 'WorkOS' },
      house,
    );
  },
});
