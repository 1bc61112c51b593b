import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
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
} from '../contract.js';
import { ASYMMETRIC, ForeignJwts } from '../foreign-jwt.js';
import { KeySet } from '../key-set.js';
import { protectedUrl } from '../loopback.js';
import { algorithmOfCurve, faultOfKey } from '../public-keys.js';

const SYMMETRIC = ['HS256', 'HS384', 'HS512'];

const urls = list().refine((values) => values.every((value) => httpUrl().safeParse(value).success), {
  error: 'wants a comma list of absolute http or https URLs',
});

const ONE_KEY = 'wants only one of JWKS_URI, PUBLIC_KEY and SECRET';

/** Lets a rule about several fields speak although another field is wrong too: all faults are told at once. */
function hasFields({ value }: { value: unknown }): boolean {
  return typeof value === 'object' && value !== null;
}

const settings = z
  .object({
    jwksUri: httpUrl()
      .refine(...protectedUrl)
      .optional()
      .describe('Where the issuer publishes its keys. One of `JWKS_URI`, `PUBLIC_KEY` and `SECRET`'),
    publicKey: z
      .string()
      .superRefine((pem, context) => {
        const key = readPublicKey(pem);
        const fault = key ? faultOfKey(key) : null;
        if (!key) context.addIssue({ code: 'custom', message: 'wants a public key in PEM (BEGIN PUBLIC KEY)' });
        if (fault !== null) context.addIssue({ code: 'custom', message: `cannot be used: ${fault}` });
      })
      .optional()
      .describe('The issuer’s public key in PEM; `\\n` may stand for line ends'),
    secret: secret(32).optional().describe('A secret shared with the issuer, for HS256; 32 characters or more'),
    issuer: list()
      .refine((values) => values.length > 0, { error: 'wants the issuer, or a comma list' })
      .describe('`iss` of its tokens; several separated by commas'),
    audience: list()
      .refine((values) => values.length > 0, { error: 'wants an audience, or a comma list' })
      .optional()
      .describe('`aud` of tokens for this server; several separated by commas. Default: the MCP URL'),
    algorithms: list()
      .refine((names) => names.length > 0 && names.every((name) => [...ASYMMETRIC, ...SYMMETRIC].includes(name)), {
        error: `wants a comma list of ${[...ASYMMETRIC, ...SYMMETRIC].join(', ')}`,
      })
      .optional()
      .describe('Signature algorithms that are accepted. Default: `RS256,ES256,EdDSA`, with a secret `HS256`'),
    authorizationServers: urls
      .default([])
      .describe('Issuers that clients are sent to for a token; several separated by commas'),
  })
  .refine(({ jwksUri, publicKey, secret: shared }) => jwksUri ?? publicKey ?? shared, {
    path: ['jwksUri'],
    error: 'is not set; wants one of JWKS_URI, PUBLIC_KEY and SECRET',
    when: hasFields,
  })
  .refine(({ jwksUri, publicKey }) => jwksUri === undefined || publicKey === undefined, {
    path: ['publicKey'],
    error: ONE_KEY,
    when: hasFields,
  })
  .refine(({ jwksUri, publicKey, secret: shared }) => shared === undefined || (jwksUri ?? publicKey) === undefined, {
    path: ['secret'],
    error: ONE_KEY,
    when: hasFields,
  })
  .superRefine(({ algorithms = [], ...keys }, context) => {
    const fitting = algorithmsFor(keys);
    const wrong = algorithms.filter((name) => !fitting.includes(name));
    if (wrong.length === 0) return;
    const source = keys.secret ? 'SECRET' : keys.publicKey ? 'this PUBLIC_KEY' : 'JWKS_URI';
    const message = `${wrong.join(', ')} cannot be used with ${source}; wants some of ${fitting.join(', ')}`;
    context.addIssue({ code: 'custom', path: ['algorithms'], message });
  });

type Settings = z.output<typeof settings>;

function algorithmsFor({ publicKey, secret: shared }: Pick<Settings, 'publicKey' | 'secret'>): readonly string[] {
  if (shared !== undefined) return SYMMETRIC;
  const key = publicKey === undefined ? null : readPublicKey(publicKey);
  if (!key) return ASYMMETRIC;
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return ASYMMETRIC.filter((name) => /^[RP]S/.test(name));
    case 'ec':
      return [algorithmOfCurve(key.asymmetricKeyDetails?.namedCurve) ?? []].flat();
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
}

/** null: no public key. A private one is refused too: it must not lie about in an environment. */
function readPublicKey(pem: string): KeyObject | null {
  const text = pem.replaceAll('\\n', '\n');
  if (!/-----BEGIN (RSA )?PUBLIC KEY-----|-----BEGIN CERTIFICATE-----/.test(text)) return null;
  try {
    return createPublicKey(text);
  } catch {
    return null;
  }
}

class Jwts implements TokenVerifier, NamesAuthorizationServers, Runs {
  readonly #tokens: ForeignJwts;
  readonly #published: KeySet | null;
  /** Undefined: its key is in the settings, there is nobody to ask. */
  readonly probe: Probes['probe'] | undefined;

  constructor(
    readonly id: string,
    private readonly settings: Settings,
    house: ProviderHouse,
  ) {
    const fitting = algorithmsFor(settings);
    const wanted = settings.algorithms ?? (settings.secret ? ['HS256'] : ['RS256', 'ES256', 'EdDSA']);
    const usable = wanted.filter((name) => fitting.includes(name));
    const published = settings.jwksUri === undefined ? null : new KeySet(id, new URL(settings.jwksUri), house);
    this.#published = published;
    this.probe = published ? () => published.probe() : undefined;
    this.#tokens = new ForeignJwts({
      id,
      keys: published ?? onlyKey(settings),
      algorithms: usable.length > 0 ? usable : fitting,
      issuers: settings.issuer,
      audiences: settings.audience ?? [house.mcpUrl],
      house,
    });
  }

  get authorizationServers(): readonly string[] {
    return this.settings.authorizationServers;
  }

  verify(token: string): Promise<Principal | null> {
    return this.#tokens.verify(token);
  }

  async open(): Promise<void> {
    this.#published?.open();
  }

  async close(): Promise<void> {
    this.#published?.close();
  }
}

function onlyKey({ publicKey, secret: shared }: Settings): ConstructorParameters<typeof ForeignJwts>[0]['keys'] {
  const key = shared === undefined ? readPublicKey(publicKey ?? '') : createSecretKey(Buffer.from(shared));
  if (!key) throw new TypeError('a jwt verifier without a key');
  return { find: () => key, findKnown: () => key };
}

/** Access tokens that are JWTs of issuers the operator names. */
export const jwt = defineProvider({
  kind: 'jwt',
  sort: 'verifier',
  settings,
  create: (id, settings, house) => new Jwts(id, settings, house),
});
