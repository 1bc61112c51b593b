import { z } from 'zod';
import { duration, httpUrl, list, secret } from '../../config/values.js';
import {
  defineProvider,
  type NamesAuthorizationServers,
  type Principal,
  type Probes,
  type ProviderHouse,
  type Runs,
  type TokenVerifier,
} from '../contract.js';
import { Introspector } from '../introspector.js';
import { protectedUrl } from '../loopback.js';

const settings = z.object({
  url: httpUrl()
    .refine(...protectedUrl)
    .describe('Introspection endpoint (RFC 7662)'),
  clientId: z.string().min(1).describe('Client ID to ask with'),
  clientSecret: secret().describe('Client secret to ask with'),
  authMethod: z
    .enum(['client_secret_basic', 'client_secret_post'], { error: 'wants client_secret_basic or client_secret_post' })
    .default('client_secret_basic')
    .describe('`client_secret_basic` or `client_secret_post`'),
  cacheTtl: duration({ min: 0, max: 60 })
    .default(5)
    .describe('How long a positive answer holds: so long a token works after it was revoked there'),
  audience: list()
    .default([])
    .describe('`aud` of tokens for this server; several separated by commas. Unset: not checked'),
  authorizationServers: list()
    .refine((values) => values.every((value) => httpUrl().safeParse(value).success), {
      error: 'wants a comma list of absolute http or https URLs',
    })
    .default([])
    .describe('Issuers that clients are sent to for a token; several separated by commas'),
});

type Settings = z.output<typeof settings>;

class Introspection implements TokenVerifier, NamesAuthorizationServers, Probes, Runs {
  readonly #introspector: Introspector;

  constructor(
    readonly id: string,
    private readonly settings: Settings,
    private readonly house: ProviderHouse,
  ) {
    const { url, audience, ...rest } = settings;
    this.#introspector = new Introspector({ id, ...rest, url: new URL(url), audiences: audience, issuers: [] }, house);
  }

  get authorizationServers(): readonly string[] {
    return this.settings.authorizationServers;
  }

  verify(token: string): Promise<Principal | null> {
    return this.#introspector.verify(token);
  }

  async open(): Promise<void> {
    if (this.settings.audience.length > 0) return;
    const name = `GATEHOUSE_${this.id.toUpperCase().replaceAll('-', '_')}_AUDIENCE`;
    this.house.log.warn(
      `unsafe: ${this.id} accepts every active token of ${new URL(this.settings.url).host}, also those made for other servers: set ${name}`,
    );
  }

  async close(): Promise<void> {}

  probe(): Promise<void> {
    return this.#introspector.probe();
  }
}

/** Tokens that another server vouches for when asked (RFC 7662). */
export const introspection = defineProvider({
  kind: 'introspection',
  sort: 'verifier',
  settings,
  create: (id, settings, house) => new Introspection(id, settings, house),
});
