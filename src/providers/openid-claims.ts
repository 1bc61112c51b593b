import { type EarlierFacts, type Identity, type UpstreamTokens, UpstreamUnavailable } from './contract.js';
import { asText } from './upstream-json.js';

/** Claims of an id_token or of userinfo. */
export type Claims = Readonly<Record<string, unknown>>;

/** Who has just signed in: all of it was said now, and userinfo wins. `userinfo` undefined: the provider has no such endpoint. @throws UpstreamUnavailable */
export function identityOf(
  provider: string,
  { idToken, userinfo }: { idToken: Claims; userinfo?: Claims | undefined },
): Identity {
  return identity(provider, { ...idToken, ...userinfo }, verifiedEmail(userinfo, idToken));
}

/**
 * Who a person is that signed in before. Only userinfo speaks now; of the kept id_token remain, as earlier facts, the claims that userinfo carried neither
 * at the sign-in nor now. What it carried then and no longer does is lost. @throws UpstreamUnavailable
 */
export function identityAgain(
  provider: string,
  said: {
    readonly idToken?: Claims | undefined;
    readonly userinfo?: Claims | undefined;
    readonly tokens: Pick<UpstreamTokens, 'userinfoClaims' | 'idTokenRenewedAt'>;
  },
): Identity {
  const { idToken, userinfo, tokens } = said;
  const again = identity(provider, { sub: idToken?.['sub'], ...userinfo }, verifiedEmail(userinfo));
  if (!idToken) return again;
  const asked = new Set([...(tokens.userinfoClaims ?? []), ...Object.keys(userinfo ?? {})]);
  return { ...again, earlier: { ...factsIn(idToken, asked), saidAt: tokens.idTokenRenewedAt ?? null } };
}

function identity(provider: string, claims: Claims, email: string | undefined): Identity {
  const subject = asText(claims['sub']);
  if (!subject) throw new UpstreamUnavailable(`${provider} named no subject`);
  return {
    provider,
    subject,
    email,
    name: asText(claims['name']),
    username: asText(claims['preferred_username']),
    avatarUrl: asText(claims['picture']),
    claims,
  };
}

/** What an id_token says beyond what userinfo is asked about. */
function factsIn(idToken: Claims, asked: ReadonlySet<string>): Omit<EarlierFacts, 'saidAt'> {
  const claims = Object.fromEntries(Object.entries(idToken).filter(([name]) => !asked.has(name)));
  // The address stands with its verification: userinfo often repeats the one without the other.
  return { email: 'email_verified' in claims ? verifiedEmail(idToken) : undefined, claims };
}

/**
 * Address and verification must be of one source, or an unverified address of one would count as verified by the other; the first that says anything about
 * verification decides. Absent means unverified: Entra never sends it, and its e-mail can be set by any tenant's administrator.
 */
function verifiedEmail(...sources: readonly (Claims | undefined)[]): string | undefined {
  const said = sources.find((claims) => claims !== undefined && 'email_verified' in claims);
  return said?.['email_verified'] === true ? asText(said['email']) : undefined;
}
