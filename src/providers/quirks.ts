/** What is peculiar about an authorization server nobody here runs, and what an operator must do about it. */
export interface Quirk {
  readonly name: string;
  /** How its tokens get our MCP URL as audience: the cure when `aud` is refused. */
  readonly audience: string;
  /** Why it serves badly as a `remote` authorization server; undefined: it does well. */
  readonly remote?: string;
  /** Other spellings of this issuer in its tokens. */
  readonly alsoIssues?: (issuer: URL) => string[];
}

const OTHER: Quirk = {
  name: 'other',
  audience:
    'Let the authorization server put the MCP URL into `aud`: RFC 8707 `resource`, or an audience setting of its own.',
};

const QUIRKS: readonly { readonly fits: (issuer: URL) => boolean; readonly quirk: Quirk }[] = [
  {
    fits: ({ hostname }) => /^(login\.microsoftonline\.(com|us)|sts\.windows\.net|.*\.ciamlogin\.com)$/.test(hostname),
    quirk: {
      name: 'Entra ID',
      audience:
        'In Entra ID expose an API whose Application ID URI is the MCP URL, or set AUDIENCE to the application’s client ID.',
      remote:
        'Entra ID has no client registration and refuses the parameter `resource` that MCP clients send (AADSTS9010010): use it as the login provider `oidc`.',
    },
  },
  {
    fits: ({ hostname }) => hostname.endsWith('.auth0.com'),
    quirk: {
      name: 'Auth0',
      audience:
        'Auth0 wants its own parameter `audience`: create an API whose identifier is the MCP URL and make it the tenant’s Default Audience, or turn on the Resource Parameter Compatibility Profile.',
    },
  },
  {
    fits: ({ hostname }) => /\.(okta|oktapreview|okta-emea)\.com$/.test(hostname),
    quirk: {
      name: 'Okta',
      audience:
        'Okta sets `aud` by authorization server: use a custom authorization server whose Audience is the MCP URL (the org server’s tokens cannot be verified).',
      remote:
        'Okta does not let browsers register clients (no CORS) and has no metadata at the RFC 8414 path: clients in browsers need the login provider `oidc`.',
    },
  },
  {
    fits: ({ pathname }) => /\/realms\/[^/]+\/?$/.test(pathname),
    quirk: {
      name: 'Keycloak',
      audience:
        'Keycloak needs a mapper of type Audience (Included Custom Audience = the MCP URL) in a default client scope.',
    },
  },
  {
    fits: ({ hostname }) => /^api(\.[\w-]+)*\.descope\.com$/.test(hostname),
    quirk: {
      name: 'Descope',
      audience: 'Descope writes the project id (P…) into `aud`: set AUDIENCE to it.',
      alsoIssues: descopeIssuers,
    },
  },
  {
    fits: ({ hostname }) => hostname.endsWith('.authkit.app'),
    quirk: {
      name: 'WorkOS AuthKit',
      audience: 'In the WorkOS dashboard add the MCP URL under Connect › Configuration › Resource Indicators.',
    },
  },
];

/** What is known about this issuer. */
export function quirkOf(issuer: string): Quirk {
  if (!URL.canParse(issuer)) return OTHER;
  const url = new URL(issuer);
  return QUIRKS.find(({ fits }) => fits(url))?.quirk ?? OTHER;
}

/** Every `iss` that tokens of this issuer may carry, itself first. */
export function issuersOf(issuer: string): string[] {
  return [issuer, ...(quirkOf(issuer).alsoIssues?.(new URL(issuer)) ?? [])];
}

/** Descope writes `https://api.descope.com/P` or `https://api.descope.com/v1/apps/P`, also in tokens of an MCP server of its own issuer. */
function descopeIssuers({ origin, pathname }: URL): string[] {
  const project = /^(?:\/v1\/apps(?:\/agentic)?)?\/([\w-]+)/.exec(pathname)?.[1];
  if (!project) return [];
  return [`${origin}/${project}`, `${origin}/v1/apps/${project}`].filter((issuer) => issuer !== `${origin}${pathname}`);
}
