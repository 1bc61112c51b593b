import { TAKEN_PATHS } from './consistency.js';

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
  /** `GATEHOUSE_…` → the FastMCP variable that would set it, of the provider that `FASTMCP_SERVER_AUTH` names. */
  readonly aliases: ReadonlyMap<string, string>;
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
  const aliases = new Map<string, string>();
  const isOurs = (name: string): boolean => env[name] !== undefined || env[`${name}_FILE`] !== undefined;
  const note = (name: string, target: string): void =>
    void notes.push(isOurs(target) ? `${name} is ignored: ${target} is set` : `${name} is read as ${target}`);
  if (dialect) {
    values['GATEHOUSE_PROVIDERS'] = dialect.kind;
    notes.push(
      isOurs('GATEHOUSE_PROVIDERS')
        ? 'FASTMCP_SERVER_AUTH is ignored: GATEHOUSE_PROVIDERS is set'
        : `FASTMCP_SERVER_AUTH is read as GATEHOUSE_PROVIDERS=${dialect.kind}`,
    );
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
        else values[target] = target.endsWith('_AUTHKIT_DOMAIN') ? origin(value) : commaList(value);
        note(name, target);
      }
    }
    for (const key of one === dialect ? Object.keys(one.keys) : []) {
      const target = targetOf(one, key, env);
      if (target !== null) aliases.set(target, `${prefix}${key}`);
    }
    const redirectPath = env[`${prefix}REDIRECT_PATH`] || undefined;
    const fault = redirectPath === undefined ? null : faultOfPath(redirectPath, env['GATEHOUSE_MCP_PATH'] ?? '/mcp');
    if (fault !== null) faults.push(`${prefix}REDIRECT_PATH: got "${redirectPath}", ${fault}`);
    else if (one.callback && (one === dialect || redirectPath !== undefined)) {
      const path = redirectPath ?? DEFAULT_CALLBACK;
      const other = [...callbackPaths].find(([, taken]) => bare(taken) === bare(path));
      if (other) faults.push(`${prefix}REDIRECT_PATH: ${path} is the callback path of ${other[0]} already`);
      else callbackPaths.set(one.kind, path);
    }
  }
  return { values, callbackPaths, notes, faults, aliases };
}

/** Why a path cannot be a callback; null: it can. */
function faultOfPath(path: string, mcpPath: string): string | null {
  const wants = `wants a path such as ${DEFAULT_CALLBACK}`;
  if (!/^\/[^/?#\s:*][^?#\s:*]*$/.test(path)) return wants;
  const first = path.split('/')[1]!;
  const isTaken = TAKEN_PATHS.includes(first) && !['auth', 'callback'].includes(first);
  return isTaken || bare(path) === bare(mcpPath) ? `which belongs to another endpoint; ${wants}` : null;
}

const bare = (path: string): string => path.replace(/\/+$/, '');

/** FastMCP takes an AuthKit domain without its scheme. */
function origin(domain: string): string {
  return /^[a-z]+:\/\//i.test(domain) ? domain : `https://${domain}`;
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
