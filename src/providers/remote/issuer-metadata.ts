import type { Outbound } from '../../outbound/outbound.js';
import { UpstreamUnavailable } from '../contract.js';
import { asObject, askJson, asText } from '../upstream-json.js';

/** What a foreign authorization server says of itself. */
export interface IssuerMetadata {
  /** As the server writes it: what `iss` of its tokens is compared with. */
  readonly issuer: string;
  readonly jwksUri?: URL | undefined;
  readonly introspectionEndpoint?: URL | undefined;
  /** Empty: not said. */
  readonly introspectionAuthMethods: readonly string[];
}

/**
 * Reads the metadata of an issuer: OpenID Connect's place first, since issuers with a path often have no other, then RFC 8414's.
 * @throws UpstreamUnavailable naming what each place answered
 */
export async function readIssuerMetadata(issuer: string, outbound: Outbound): Promise<IssuerMetadata> {
  const tried: string[] = [];
  for (const url of placesOf(issuer)) {
    try {
      const { status, headers, body } = await askJson(outbound, url);
      const document = asObject(body);
      // Some servers answer their sign-in page with 200 at unknown well-known addresses.
      if (status === 200 && document && headers.get('content-type')?.includes('json'))
        return readDocument(document, issuer);
      tried.push(`${url.href} answered ${status}${status === 200 ? ' and no JSON' : ''}`);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      tried.push(error.message);
    }
  }
  throw new UpstreamUnavailable(`no metadata of ${issuer}: ${tried.join('; ')}`);
}

function placesOf(issuer: string): URL[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    new URL(`${origin}${path}/.well-known/openid-configuration`),
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
  ];
}

function readDocument(document: Readonly<Record<string, unknown>>, wanted: string): IssuerMetadata {
  const issuer = asText(document['issuer']);
  // Only the slash after a bare origin is forgiven: WHATWG URLs cannot tell the two apart.
  if (issuer === undefined || !URL.canParse(issuer) || new URL(issuer).href !== new URL(wanted).href)
    throw new UpstreamUnavailable(
      `the metadata of ${wanted} names the issuer ${JSON.stringify(issuer)}: set ISSUER to exactly that if it is meant`,
    );
  const url = (name: string): URL | undefined => {
    const text = asText(document[name]);
    return text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  };
  const methods = document['introspection_endpoint_auth_methods_supported'];
  return {
    issuer,
    jwksUri: url('jwks_uri'),
    introspectionEndpoint: url('introspection_endpoint'),
    introspectionAuthMethods: Array.isArray(methods) ? methods.filter((name) => typeof name === 'string') : [],
  };
}
