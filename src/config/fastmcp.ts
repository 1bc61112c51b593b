/** FastMCP 2 settings of one provider: our kind, and its keys → ours. */
interface Dialect {
  readonly className: string;
  readonly prefix: string;
  readonly kind: string;
  readonly keys: Readonly<Record<string, string>>;
  /** FastMCP serves the upstream callback on `/auth/callback` unless `_REDIRECT_PATH` says otherwise. */
  readonly callback: boolean;
}

const LOGIN_KEYS = { CLIENT_ID: 'CLIENT_ID', CLIENT_SECRET: 'CLIENT_SECRET', REQUIRED_SCOPES: 'SCOPES' } as const;
const PROVIDERS = 'fastmcp.server.auth.providers';
const DEFAULT_CALLBACK = '/auth/callback';

const DIALECTS: readonly Dialect[] = [
  {
    className: `${PROVIDERS}.github.GitHubProvider`,
    prefix: 'GITHUB',
    kind: 'github',
    keys: LOGIN_KEYS,
    callback: true,
  },
  {
    className: `${PROVIDERS}.google.GoogleProvider`,
    prefix: 'GOOGLE',
    kind: 'google',
    keys: LOGIN_KEYS,
    callback: true,
  },
  {
    className: `${PROVIDERS}.workos.WorkOSProvider`,
    prefix: 'WORKOS',
    kind: 'workos',
    keys: { ...LOGIN_KEYS, AUTHKIT_DOMAIN: 'AUTHKIT_DOMAIN' },
    callback: true,
  },
  {
    className: `${PROVIDERS}.workos.AuthKitProvider`,
    prefix: 'AUTHKITPROVIDER',
    kind: 'authkit',
    keys: { AUTHKIT_DOMAIN: 'AUTHKIT_DOMAIN' },
    callback: false,
  },
  {
    className: `${PROVIDERS}.jwt.JWTVerifier`,
    prefix: 'JWT',
    kind: 'jwt',
    keys: {
      PUBLIC_KEY: 'PUBLIC_KEY',
      JWKS_URI: 'JWKS_URI',
      ISSUER: 'ISSUER',
      AUDIENCE: 'AUDIENCE',
      ALGORITHM: 'ALGORITHMS',
    },
    callback: false,
  },
  {
    className: `${PROVIDERS}.introspection.IntrospectionTokenVerifier`,
    prefix: 'INTROSPECTION',
    kind: 'introspection',
    keys: { INTROSPECTION_URL: 'URL', CLIENT_ID: 'CLIENT_ID', CLIENT_SECRET: 'CLIENT_SECRET' },
    callback: false,
  },
];

/** What FastMCP 2 variables mean in ours. */
export interface Translation {
  /** `GATEHOUSE_…` → value; what is set under its own name wins over these. */
  readonly values: Readonly<Record<string, string>>;
  /** Provider id → callback path. */
  readonly callbackPaths: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
  readonly faults: readonly string[];
}

/**
 * Reads the variables of FastMCP 2's `FASTMCP_SERVER_AUTH…`. Only the provider that `FASTMCP_SERVER_AUTH` names, and those that
 * `GATEHOUSE_PROVIDERS` enables under their kind's own name, are read.
 */
export function translateFastMcp(env: Readonly<Record<string, string | undefined>>): Translation {
  const chosen = env['FASTMCP_SERVER_AUTH'] || undefined;
  const dialect = DIALECTS.find(({ className }) => className === chosen);
  const enabled = new Set((env['GATEHOUSE_PROVIDERS'] ?? '').split(',').map((entry) => entry.trim()));
  const faults =
    chosen === undefined || dialect !== undefined
      ? []
      : [`FASTMCP_SERVER_AUTH: got "${chosen}", wants one of ${DIALECTS.map(({ className }) => className).join(', ')}`];

  const values: Record<string, string> = {};
  const notes: string[] = [];
  const callbackPaths = new Map<string, string>();
  if (dialect) {
    values['GATEHOUSE_PROVIDERS'] = dialect.kind;
    notes.push(`FASTMCP_SERVER_AUTH is read as GATEHOUSE_PROVIDERS=${dialect.kind}`);
  }
  for (const one of DIALECTS) {
    const prefix = `FASTMCP_SERVER_AUTH_${one.prefix}_`;
    const names = Object.keys(env).filter((name) => name.startsWith(prefix) && env[name] !== undefined);
    if (one !== dialect && !enabled.has(one.kind)) {
      notes.push(...names.map((name) => `${name} is ignored: the provider ${one.kind} is not on`));
      continue;
    }
    for (const name of names) {
      const target = targetOf(one, name.slice(prefix.length), env);
      const value = env[name] ?? '';
      if (target === null) notes.push(`${name} is ignored: Gatehouse has no such setting`);
      else if (target === 'callback') notes.push(`${name} is read as the callback path of ${one.kind}`);
      else {
        if (target === 'GATEHOUSE_PUBLIC_URL') values[target] ??= value.replace(/\/+$/, '');
        else values[target] = commaList(value);
        notes.push(`${name} is read as ${target}`);
      }
    }
    const redirectPath = env[`${prefix}REDIRECT_PATH`] || undefined;
    if (redirectPath !== undefined && !/^\/[^/?#\s][^?#\s]*$/.test(redirectPath))
      faults.push(`${prefix}REDIRECT_PATH: got "${redirectPath}", wants a path such as ${DEFAULT_CALLBACK}`);
    else if (one.callback && (one === dialect || redirectPath !== undefined))
      callbackPaths.set(one.kind, redirectPath ?? DEFAULT_CALLBACK);
  }
  return { values, callbackPaths, notes, faults };
}

function targetOf(dialect: Dialect, key: string, env: Readonly<Record<string, string | undefined>>): string | null {
  if (key === 'BASE_URL') return 'GATEHOUSE_PUBLIC_URL';
  if (key === 'REDIRECT_PATH' && dialect.callback) return 'callback';
  // A verifier's required scopes are asked of the token that reaches us, not of an upstream.
  if (key === 'REQUIRED_SCOPES' && !dialect.callback) return 'GATEHOUSE_REQUIRED_SCOPES';
  // FastMCP keeps the shared secret of HS256 in its PUBLIC_KEY.
  if (key === 'PUBLIC_KEY' && env[`FASTMCP_SERVER_AUTH_${dialect.prefix}_ALGORITHM`]?.startsWith('HS'))
    return 'GATEHOUSE_JWT_SECRET';
  const ours = dialect.keys[key];
  return ours === undefined ? null : `GATEHOUSE_${dialect.kind.toUpperCase().replaceAll('-', '_')}_${ours}`;
}

/** FastMCP takes lists as JSON too. */
function commaList(value: string): string {
  if (!value.trimStart().startsWith('[')) return value;
  try {
    const items: unknown = JSON.parse(value);
    return Array.isArray(items) ? items.join(',') : value;
  } catch {
    return value;
  }
}
