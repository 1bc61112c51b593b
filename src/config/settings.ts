import { z } from 'zod';
import type { ProviderChoice } from '../providers/contract.js';
import { parseRule, type Rule } from '../protocol/rules.js';
import { duration, list, ownScopes, secret, toggle } from './values.js';

const DAY = 86_400;

const rules = list().transform((items, context): Rule[] => {
  const parsed = items.map(parseRule);
  const faults = parsed.filter((rule) => typeof rule === 'string');
  if (faults.length > 0) context.addIssue({ code: 'custom', message: faults.join('; ') });
  return parsed.filter((rule) => typeof rule !== 'string');
});

const origin = z.string().transform((value, context): string => {
  const fault = faultOfOrigin(value);
  if (fault === null) return new URL(value).origin;
  context.addIssue({ code: 'custom', message: fault });
  return z.NEVER;
});

function faultOfOrigin(value: string): string | null {
  if (!URL.canParse(value)) return 'wants an origin such as https://mcp.example.com';
  const url = new URL(value);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'wants http or https';
  if (url.username || url.password) return 'must not hold a user name or password';
  if (url.pathname !== '/' || url.search || url.hash || /[?#]/.test(value))
    return `wants an origin without a path: ${url.origin}`;
  if (value.endsWith('/')) return `wants no trailing slash: ${url.origin}`;
  return null;
}

const port = z
  .union([z.number(), z.string().transform((text) => (/^\d+$/.test(text) ? Number(text) : NaN))])
  .refine((value) => Number.isInteger(value) && value >= 0 && value <= 65_535, {
    error: 'wants a port number from 0 to 65535',
  });

/**
 * Every setting of Gatehouse outside the providers, in the order of the documentation. A key is the environment's name in camelCase:
 * `publicUrl` is read from `GATEHOUSE_PUBLIC_URL`. `.meta({ secret })` gives a `_FILE` form and hides the value; `.describe` is the documentation.
 */
export const settingsSchema = z.object({
  publicUrl: origin
    .optional()
    .describe(
      'Origin as clients see it, and the issuer; no path, no trailing slash. Mandatory, and https, when people can log in and the host is not loopback. Default: `http://localhost:<port>`',
    ),
  host: z.string().min(1).default('127.0.0.1').describe('Listen address'),
  port: port.default(8000).describe('Listen port (`PORT` is honoured too)'),
  mcpPath: z
    .string()
    .regex(/^(\/[A-Za-z0-9._~-]+)+$/, { error: 'wants a path such as /mcp, without a trailing slash' })
    .default('/mcp')
    .describe('The MCP endpoint; answers with and without a trailing slash'),
  databaseUrl: z
    .string()
    .regex(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, { error: 'wants sqlite:<file>, sqlite::memory: or postgres://…' })
    .default('sqlite:data/gatehouse.sqlite')
    .meta({ secret: true })
    .describe('`sqlite:<file>`, `sqlite::memory:` or `postgres://…`'),
  secret: list()
    .refine((keys) => keys.length > 0 && keys.every((key) => Buffer.from(key, 'base64').length >= 32), {
      error: 'wants at least 32 bytes in base64 (openssl rand -base64 32); several separated by commas',
    })
    .optional()
    .meta({ secret: true })
    .describe(
      'Root key, 32 bytes or more in base64; several separated by commas: the first encrypts, all decrypt. Required with Postgres; with SQLite made and kept beside the database, mode 0600',
    ),
  requiredScopes: ownScopes().default([]).describe('A token must carry all of these to reach MCP at all'),
  defaultScopes: ownScopes().default(['mcp']).describe('Granted when a client asks for none'),
  allow: rules
    .optional()
    .describe(
      'Who may sign in: `*`, or a comma list of `email:a@b.c`, `domain:b.c`, `github-org:o`, `github-team:o/t`, `google-domain:b.c`, `workos-org:org_1`, `claim:name=value`; any one admits, and those named after a provider only people of that kind of provider. `*` on loopback; elsewhere mandatory as soon as a login provider is on',
    ),
  admins: rules
    .default([])
    .describe('The same rules: these people have the role `admin`; looked at again whenever the allow rules are'),
  adminToken: secret(32).optional().describe('Bearer token for the admin API, 32 characters or more'),
  tlsCertFile: z
    .string()
    .min(1)
    .optional()
    .describe('Serve https with this certificate; reloaded when the file changes'),
  tlsKeyFile: z.string().min(1).optional().describe('Private key of `GATEHOUSE_TLS_CERT_FILE`'),
  trustedProxies: list()
    .default([])
    .describe(
      'CIDRs whose `X-Forwarded-For` is believed, for rate limits and audit only: URLs never come from headers',
    ),
  allowedOrigins: list()
    .default([])
    .describe('Browser origins that may call `/mcp`, besides the public one; `*` allowed'),
  accessTokenTtl: duration({ min: 10, max: 30 * DAY })
    .default(3600)
    .describe('Life of an access token'),
  refreshTokenTtl: duration({ min: 60, max: 365 * DAY })
    .default(30 * DAY)
    .describe('Life of a refresh token; every refresh begins it anew'),
  registration: z
    .enum(['open', 'approval', 'closed'], { error: 'wants open, approval or closed' })
    .default('open')
    .describe(
      '`open`, `approval` (new clients wait for an administrator) or `closed` (only clients that an administrator made, or admitted by the address of their metadata document)',
    ),
  clientIdDocuments: toggle()
    .default(true)
    .describe('Client ID metadata documents; `off`: neither advertised nor fetched (installations without egress)'),
  discovery: toggle()
    .optional()
    .describe(
      '`off`: no OAuth or OIDC well-known document and no `resource_metadata` in challenges. Default: `on` when tokens can be obtained by OAuth',
    ),
  legacySessions: toggle()
    .default(false)
    .describe(
      '`on`: 2025-era clients get an in-memory session, so that tools can ask them for sampling and elicitation',
    ),
  errorRedirects: z
    .enum(['trusted', 'all'], { error: 'wants trusted or all' })
    .default('trusted')
    .describe(
      'Whether an error may redirect before a person has acted on our page: `trusted` (loopback, approved clients, a metadata document’s own host) or `all`',
    ),
  stepUp: z
    .enum(['challenge', 'link'], { error: 'wants challenge or link' })
    .default('challenge')
    .describe('`link`: 2025-era clients get a tool result with a link where the person widens the live grant'),
  auditRetention: duration({ min: DAY, max: 3650 * DAY })
    .default(365 * DAY)
    .describe('Older events are purged'),
  logLevel: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
      error: 'wants trace, debug, info, warn, error or silent',
    })
    .default('info')
    .describe('Least severity that is logged'),
  logFormat: z
    .enum(['json', 'pretty'], { error: 'wants json or pretty' })
    .optional()
    .describe('`json` or `pretty`. Default: `pretty` on a terminal, else `json`'),
  metrics: toggle().default(false).describe('Prometheus text on `/metrics`'),
  rateLimits: toggle()
    .default(true)
    .describe('`off` for load and abuse tests: lifts every limit keyed by address, client or user; size caps stay'),
});

/** What an operator may write: the environment's values, or `forRoot({ … })`. */
export type SettingsInput = z.input<typeof settingsSchema>;
/** Settings as parsed, before they are completed. */
export type SettingsValues = z.output<typeof settingsSchema>;

/** Settings as the house uses them: parsed, completed and consistent. Durations are seconds. Injected by class. */
export class Settings {
  readonly values: SettingsValues;
  readonly providers: readonly ProviderChoice[];
  /** Origin without trailing slash: the issuer, byte for byte. */
  readonly publicUrl: string;
  /** The public MCP URL: RFC 9728 `resource`, the audience of MCP tokens. */
  readonly mcpUrl: string;
  /** The audience of admin tokens. */
  readonly adminUrl: string;
  /** Any login provider is on: the authorization server runs. */
  readonly hasLogin: boolean;
  readonly discovery: boolean;
  readonly allow: readonly Rule[];
  /** Against which relative file names are read. */
  readonly cwd: string;
  /** Callback paths that differ from `/callback/<id>`, by provider id (FastMCP's `/auth/callback`). */
  readonly callbackPaths: ReadonlyMap<string, string>;

  constructor(
    values: SettingsValues,
    rest: { providers: readonly ProviderChoice[]; cwd?: string; callbackPaths?: ReadonlyMap<string, string> },
  ) {
    this.values = values;
    this.providers = rest.providers;
    this.cwd = rest.cwd ?? process.cwd();
    this.callbackPaths = rest.callbackPaths ?? new Map();
    this.publicUrl = values.publicUrl ?? `${values.tlsCertFile ? 'https' : 'http'}://localhost:${values.port}`;
    this.mcpUrl = `${this.publicUrl}${values.mcpPath}`;
    this.adminUrl = `${this.publicUrl}/admin/v1`;
    this.hasLogin = rest.providers.some(({ kind }) => kind.sort === 'login');
    this.discovery =
      values.discovery ??
      (this.hasLogin ||
        rest.providers.some(
          ({ kind, settings }) => ['authkit', 'remote'].includes(kind.kind) || namesServers(settings),
        ));
    this.allow = values.allow ?? [{ kind: 'anyone' }];
  }

  /** Clients and browsers reach us over https. */
  get secure(): boolean {
    return this.publicUrl.startsWith('https:');
  }

  /** The redirect URI to register with the upstream of this provider instance. */
  callbackUrl(providerId: string): URL {
    return new URL(this.callbackPaths.get(providerId) ?? `/callback/${providerId}`, this.publicUrl);
  }
}

function namesServers(settings: unknown): boolean {
  const servers = (settings as { authorizationServers?: unknown } | null)?.authorizationServers;
  return Array.isArray(servers) && servers.length > 0;
}
