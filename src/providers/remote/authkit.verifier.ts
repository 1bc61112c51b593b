import { z } from 'zod';
import { httpUrl, list } from '../../config/values.js';
import {
  defineProvider,
  type NamesAuthorizationServers,
  type Principal,
  type Probes,
  type ProviderHouse,
  type Runs,
  type TokenVerifier,
} from '../contract.js';
import { ForeignJwts } from '../foreign-jwt.js';
import { KeySet } from '../key-set.js';
import { protectedUrl } from '../loopback.js';

const settings = z.object({
  authkitDomain: httpUrl()
    .refine((value) => !URL.canParse(value) || (new URL(value).pathname === '/' && !/[?#]/.test(value)), {
      error: 'wants an origin without a path, for example https://your-app.authkit.app',
    })
    .refine(...protectedUrl)
    .describe('The AuthKit domain, for example `https://your-app.authkit.app`'),
  audience: list()
    .refine((values) => values.length > 0, { error: 'wants an audience, or a comma list' })
    .optional()
    .describe('`aud` of tokens for this server. Default: the MCP URL, to be added in WorkOS under Resource Indicators'),
});

class AuthKit implements TokenVerifier, NamesAuthorizationServers, Probes, Runs {
  readonly authorizationServers: readonly string[];
  readonly #tokens: ForeignJwts;
  readonly #keys: KeySet;

  constructor(
    readonly id: string,
    { authkitDomain, audience }: z.output<typeof settings>,
    house: ProviderHouse,
  ) {
    const issuer = new URL(authkitDomain).origin;
    this.authorizationServers = [issuer];
    this.#keys = new KeySet(id, new URL('/oauth2/jwks', issuer), house);
    this.#tokens = new ForeignJwts({
      id,
      keys: this.#keys,
      algorithms: ['RS256'],
      issuers: [issuer],
      audiences: audience ?? [house.mcpUrl],
      house,
    });
  }

  verify(token: string): Promise<Principal | null> {
    return this.#tokens.verify(token);
  }

  async open(): Promise<void> {
    this.#keys.open();
  }

  async close(): Promise<void> {
    this.#keys.close();
  }

  probe(): Promise<void> {
    return this.#keys.probe();
  }
}

/** WorkOS AuthKit as the authorization server: the preset of `remote` that needs no discovery. */
export const authkit = defineProvider({
  kind: 'authkit',
  sort: 'verifier',
  settings,
  create: (id, settings, house) => new AuthKit(id, settings, house),
});
