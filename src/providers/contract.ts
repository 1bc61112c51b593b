import type { z } from 'zod';
import type { Outbound } from '../outbound/outbound.js';

/** Names one account at one provider. */
export interface IdentityKey {
  /** The provider instance's id, for example `github` or `corp-hub`. */
  readonly provider: string;
  /** Stable and unique at that provider; never an e-mail address or a login name. */
  readonly subject: string;
}

/** What an upstream says of a person who has just signed in. */
export interface Identity extends IdentityKey {
  /** Only when the provider says it is verified; undefined otherwise. */
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  /** The login name, for display only: it can change hands. */
  readonly username?: string | undefined;
  readonly avatarUrl?: string | undefined;
  /** GitHub organisations the person belongs to, lower case; undefined: not asked or not readable. */
  readonly organizations?: readonly string[] | undefined;
  /** GitHub teams as `organisation/team-slug`, lower case; undefined: not asked or not readable. */
  readonly teams?: readonly string[] | undefined;
  /** Everything else the provider said (Google `hd`, WorkOS `org_id`, OIDC claims): what allow rules compare. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Of somebody identified again: what the provider has said before and could not be asked about now. Undefined: everything is as old as this answer. */
  readonly earlier?: EarlierFacts | undefined;
}

/** Facts of an id_token that the userinfo endpoint never carried. */
export interface EarlierFacts {
  /** Epoch seconds of the refresh that brought that id_token; null: the sign-in did. */
  readonly saidAt: number | null;
  /** Verified; undefined otherwise. */
  readonly email?: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Tokens of an upstream for one person. They never leave the server. */
export interface UpstreamTokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  readonly idToken?: string | undefined;
  /** Epoch seconds; undefined: the upstream gave no end. */
  readonly expiresAt?: number | undefined;
  /** What the upstream granted, possibly less than asked. */
  readonly scopes: readonly string[];
  /** Names of the claims that userinfo carried at the sign-in: what it no longer carries, the person has lost. Undefined: not known. */
  readonly userinfoClaims?: readonly string[] | undefined;
  /** Epoch seconds of the refresh that brought `idToken`; undefined: the sign-in did. */
  readonly idTokenRenewedAt?: number | undefined;
}

/** Who is calling, whichever way they came. Frozen; shared between requests by the verified-token cache. */
export interface Principal {
  /** Stable key of whoever acts: `user:<id>`, or `<verifier id>:<subject>` for tokens that belong to no User of ours. */
  readonly key: string;
  /** Our User; null when the token belongs to none (static tokens of the environment, foreign issuers). */
  readonly user: {
    readonly id: string;
    readonly name?: string | undefined;
    readonly email?: string | undefined;
  } | null;
  /** What the token calls its bearer: a User id, a foreign `sub`, a static token's client_id. */
  readonly subject: string;
  /** The MCP client application: our Client id, or what the foreign token says (`client_id`, `azp`). */
  readonly client: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  /** The provider instance the person signed in with, or the id of the verifier that accepted the token. */
  readonly via: string;
  /** The account that the connection was signed in with; undefined: none (personal and foreign tokens), or not known. */
  readonly identity?: IdentityKey | undefined;
  /** Epoch seconds; null: never. */
  readonly expiresAt: number | null;
  /** Epoch seconds after which the verifier must be asked again although the token has not expired; undefined: not before `expiresAt`. */
  readonly recheckAt?: number | undefined;
  readonly grantId?: string | undefined;
  readonly tokenId?: string | undefined;
  /** RFC 9449: thumbprint of the key the token is bound to; undefined: a plain bearer token. */
  readonly jkt?: string | undefined;
}

/** A way for people to sign in. */
export interface LoginProvider {
  readonly id: string;
  /** On the button of the login page, for example `GitHub`. */
  readonly label: string;
  /**
   * Begins a sign-in. `memo` (PKCE verifier, nonce) is kept on the server and handed back to `finish`.
   * @throws UpstreamUnavailable when discovery failed
   */
  start(ask: LoginAsk): Promise<{ url: URL; memo: Record<string, string> }>;
  /**
   * Ends it. `callback` is the whole callback URL as the browser requested it; its `state` has been checked by the caller.
   * @throws LoginRefused the person or a rule said no
   * @throws UpstreamUnavailable try again
   */
  finish(
    callback: URL,
    memo: Record<string, string>,
    callbackUrl: URL,
  ): Promise<{ identity: Identity; tokens: UpstreamTokens }>;
}

export interface LoginAsk {
  readonly state: string;
  readonly callbackUrl: URL;
  /** Upstream scopes beyond the provider's configured ones, which tools asked for; often empty. */
  readonly scopes: readonly string[];
  /** The person wants another account than the one their browser has there: ask which. */
  readonly chooseAccount?: boolean | undefined;
}

/** A way for a bearer token to be accepted at `/mcp`. */
export interface TokenVerifier {
  readonly id: string;
  /**
   * @returns null: not mine, or not valid
   * @throws UpstreamUnavailable could not decide: the caller answers 503
   */
  verify(token: string): Promise<Principal | null>;
}

/** Optional power of a LoginProvider: a new access token without the person. */
export interface RefreshesUpstreamTokens {
  /** @throws UpstreamGrantDead when the upstream says the refresh token is no longer good  @throws UpstreamUnavailable */
  refresh(refreshToken: string): Promise<UpstreamTokens>;
}
/** Optional power of a LoginProvider: best effort, never throws for an upstream's refusal. */
export interface RevokesUpstreamTokens {
  revoke(tokens: UpstreamTokens): Promise<void>;
}
/** Optional power of a LoginProvider: asks the upstream again who this is, to check allow rules. Facts are as old as the answer, or among `earlier`. */
export interface Identifies {
  /** @throws UpstreamGrantDead the token no longer works  @throws UpstreamUnavailable */
  identify(tokens: UpstreamTokens): Promise<Identity>;
}
/** Optional power of a LoginProvider: signing out there too (OpenID Connect RP-Initiated Logout 1.0). */
export interface EndsUpstreamSessions {
  /**
   * Where to send the browser.
   * @returns null: the provider has no such place  @throws UpstreamUnavailable when discovery failed
   */
  endSessionUrl(ask: SignOutAsk): Promise<URL | null>;
}

/** What the provider is told when a person signs out there. */
export interface SignOutAsk {
  /** Of the sign-in that this browser made; undefined: the provider gave none. */
  readonly idToken: string | undefined;
  /** Where the provider sends the browser afterwards; registered there. */
  readonly returnTo: URL;
  /** Comes back with the browser (§3). */
  readonly state: string;
}
/** Optional power of a TokenVerifier: the authorization servers whose tokens it takes, for RFC 9728 `authorization_servers`. */
export interface NamesAuthorizationServers {
  readonly authorizationServers: readonly string[];
}
/** Optional power of any provider: does it answer now? Used by the admin API. */
export interface Probes {
  probe(): Promise<void>;
}
/** Optional power of any provider: background work that begins after start and ends at shutdown. */
export interface Runs {
  open(): Promise<void>;
  close(): Promise<void>;
}

/** The person or a rule said no. `reason` is ours, safe to show; upstream text never goes in it. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused';
  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/** An upstream could not be asked: try again. The message is for the log, never for a page. */
export class UpstreamUnavailable extends Error {
  override readonly name = 'UpstreamUnavailable';
  /** The caller writes no line: the log has it already, or any stranger could cause one. */
  readonly isQuiet: boolean;
  /** @param retryAfter seconds */
  constructor(
    message: string,
    readonly retryAfter = 5,
    options?: ErrorOptions & { readonly isQuiet?: boolean },
  ) {
    super(message, options);
    this.isQuiet = options?.isQuiet ?? false;
  }
}

/** The upstream says our tokens for this person are no longer good: only a new sign-in helps. */
export class UpstreamGrantDead extends Error {
  override readonly name = 'UpstreamGrantDead';
}

/** What a provider gets from the house when it is built. */
export interface ProviderHouse {
  readonly outbound: Outbound;
  /** Origin without trailing slash. */
  readonly publicUrl: string;
  /** The MCP endpoint's public URL: the audience of tokens made for us. */
  readonly mcpUrl: string;
  /** Kinds of the allow and admin rules in force (`github-org`, `google-domain`, …): what an Identity must be able to answer. */
  readonly ruleKinds: ReadonlySet<string>;
  /** The working directory against which relative file names are read. */
  readonly cwd: string;
  readonly log: { warn(message: string): void; error(message: string): void };
  /** Seconds on a monotonic clock: what cool-downs and retries are measured by. */
  readonly now: () => number;
}

/** One entry of the list in `providers.ts`: everything Gatehouse must know to offer a kind of provider. */
export interface ProviderKind<Kind extends string = string, Schema extends z.ZodType = z.ZodType> {
  readonly kind: Kind;
  readonly sort: 'login' | 'verifier';
  /** camelCase keys; `clientId` is read from `GATEHOUSE_<ID>_CLIENT_ID`. `.meta({ secret: true })` marks what is never shown and has a `_FILE` form. */
  readonly settings: Schema;
  /**
   * Faults that only a look outside the settings shows, an unreadable file for one: found before anything starts and told with all the others.
   * Gets what could be read of the settings, and the folder that relative names start from.
   */
  examine?(settings: Partial<z.output<Schema>>, cwd: string): readonly SettingFault[];
  create(id: string, settings: z.output<Schema>, house: ProviderHouse): LoginProvider | TokenVerifier;
}

/** What is wrong with one setting: its camelCase key, and what follows its name in the message. Never a secret. */
export interface SettingFault {
  readonly key: string;
  readonly fault: string;
}

/** A kind with its settings: what `github({ clientId, … })` returns and what the environment is read into. */
export interface ProviderChoice {
  readonly id: string;
  readonly kind: ProviderKind;
  /** Already parsed by `kind.settings`. */
  readonly settings: unknown;
}

/** Makes the function that operators call in `GatehouseModule.forRoot({ providers: [github({ … })] })`. */
export function defineProvider<const Kind extends string, Schema extends z.ZodType>(
  definition: ProviderKind<Kind, Schema>,
): DefinedProvider<Kind, Schema> {
  const choose = (settings: z.input<Schema>, id: string = definition.kind): ProviderChoice => ({
    id,
    kind: definition,
    settings: definition.settings.parse(settings),
  });
  return Object.assign(choose, { definition });
}

/** `(settings, id = kind) => ProviderChoice`; throws ZodError for settings that do not fit. */
export interface DefinedProvider<Kind extends string = string, Schema extends z.ZodType = z.ZodType> {
  (settings: z.input<Schema>, id?: string): ProviderChoice;
  readonly definition: ProviderKind<Kind, Schema>;
}
