import { z } from 'zod';
import { httpUrl, list, secret } from '../../config/values.js';
import {
  defineProvider,
  type NamesAuthorizationServers,
  type Principal,
  type Probes,
  type ProviderHouse,
  type Runs,
  type TokenVerifier,
  UpstreamUnavailable,
} from '../contract.js';
import { ASYMMETRIC, ForeignJwts } from '../foreign-jwt.js';
import { Introspector } from '../introspector.js';
import { KeySet } from '../key-set.js';
import { protectedUrl } from '../loopback.js';
import { PacedAsk } from '../paced-ask.js';
import { issuersOf, quirkOf } from '../quirks.js';
import { type IssuerMetadata, readIssuerMetadata } from './issuer-metadata.js';

/** Seconds for which an introspected token holds. */
const CACHE_TTL = 5;

/** Lets a rule about two fields speak although another field is wrong too: all faults are told at once. */
function hasFields({ value }: { value: unknown }): boolean {
  return typeof value === 'object' && value !== null;
}

const settings = z
  .object({
    issuer: httpUrl()
      .refine(...protectedUrl)
      .describe('Issuer of the authorization server, exactly as it writes it; its metadata is discovered'),
    audience: list()
      .refine((values) => values.length > 0, { error: 'wants an audience, or a comma list' })
      .optional()
      .describe('`aud` of tokens for this server. Default: the MCP URL'),
    introspectionClientId: z
      .string()
      .min(1)
      .optional()
      .describe('With the secret: tokens are introspected there instead of verified by its keys'),
    introspectionClientSecret: secret().optional().describe('Secret of the introspection client'),
  })
  .refine(({ introspectionClientId: id, introspectionClientSecret: key }) => key === undefined || id !== undefined, {
    path: ['introspectionClientId'],
    error: 'is not set, but the secret of the introspection client is',
    when: hasFields,
  })
  .refine(({ introspectionClientId: id, introspectionClientSecret: key }) => id === undefined || key !== undefined, {
    path: ['introspectionClientSecret'],
    error: 'is not set, but the id of the introspection client is',
    when: hasFields,
  });

type Settings = z.output<typeof settings>;

/** What discovery makes: either way of checking tokens. */
type Check = Pick<TokenVerifier, 'verify'> & Probes;

class Remote implements TokenVerifier, NamesAuthorizationServers, Probes, Runs {
  readonly authorizationServers: readonly string[];
  readonly #discovery: PacedAsk<Check>;
  #check: Check | undefined;

  constructor(
    readonly id: string,
    private readonly settings: Settings,
    private readonly house: ProviderHouse,
  ) {
    this.authorizationServers = [settings.issuer];
    this.#discovery = new PacedAsk(async () => (this.#check = await this.#discover()), {
      failed: () => `${id}: discovery failed, its tokens cannot be checked`,
      log: house.log,
      now: house.now,
    });
  }

  async verify(token: string): Promise<Principal | null> {
    return (this.#check ?? (await this.#discovery.ask())).verify(token);
  }

  /** Begins discovery without holding up the start: the server is of use to holders of other tokens meanwhile. */
  async open(): Promise<void> {
    const { remote } = quirkOf(this.settings.issuer);
    if (remote) this.house.log.warn(`${this.id}: ${remote}`);
    this.#discovery.keepAsking();
  }

  async close(): Promise<void> {
    this.#discovery.stop();
  }

  async probe(): Promise<void> {
    await (await this.#discover()).probe();
  }

  /** @throws UpstreamUnavailable also when the metadata lacks what is needed: it may be mended there */
  async #discover(): Promise<Check> {
    return this.#build(await readIssuerMetadata(this.settings.issuer, this.house.outbound));
  }

  #build({ issuer, jwksUri, introspectionEndpoint, introspectionAuthMethods }: IssuerMetadata): Check {
    const { introspectionClientId: clientId, introspectionClientSecret: clientSecret, audience } = this.settings;
    const { id, house } = this;
    const audiences = audience ?? [house.mcpUrl];
    const issuers = issuersOf(issuer);
    if (clientId !== undefined && clientSecret !== undefined) {
      if (!introspectionEndpoint) throw new UpstreamUnavailable(`${id}: ${issuer} offers no introspection endpoint`);
      const authMethod =
        introspectionAuthMethods.includes('client_secret_post') &&
        !introspectionAuthMethods.includes('client_secret_basic')
          ? 'client_secret_post'
          : 'client_secret_basic';
      const asked = {
        id,
        url: introspectionEndpoint,
        clientId,
        clientSecret,
        authMethod,
        cacheTtl: CACHE_TTL,
        audiences,
        issuers,
      } as const;
      return new Introspector(asked, house);
    }
    if (!jwksUri)
      throw new UpstreamUnavailable(`${id}: ${issuer} publishes no keys: set INTROSPECTION_CLIENT_ID and _SECRET`);
    const keys = new KeySet(id, jwksUri, house);
    const tokens = new ForeignJwts({ id, keys, algorithms: ASYMMETRIC, issuers, audiences, house });
    return { verify: (token) => tokens.verify(token), probe: () => keys.probe() };
  }
}

/** Any authorization server with client registration of its own: clients are sent there, and its tokens verified here. */
export const remote = defineProvider({
  kind: 'remote',
  sort: 'verifier',
  settings,
  create: (id, settings, house) => new Remote(id, settings, house),
});
