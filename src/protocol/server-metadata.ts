import { ASSERTION_ALGORITHMS, AUTH_METHODS } from './client-metadata.js';

/** What the documents are made from. */
export interface ServerFacts {
  /** Origin without trailing slash. */
  readonly publicUrl: string;
  /** What a new person should be asked for; never `offline_access`. */
  readonly scopes: readonly string[];
  readonly registration: boolean;
  readonly clientIdDocuments: boolean;
}

/**
 * Authorization server metadata (RFC 8414 §2) and OpenID Connect discovery in one body: clients probe both, and must find the same facts. Built from the
 * public URL alone, byte for byte, and without a trailing slash: clients compare strings.
 */
export function serverMetadata({
  publicUrl,
  scopes,
  registration,
  clientIdDocuments,
}: ServerFacts): Record<string, unknown> {
  const assertion = ASSERTION_ALGORITHMS.filter((name) => name !== 'Ed25519');
  const methods = [...AUTH_METHODS];
  return {
    issuer: publicUrl,
    authorization_endpoint: `${publicUrl}/authorize`,
    token_endpoint: `${publicUrl}/token`,
    ...(registration ? { registration_endpoint: `${publicUrl}/register` } : {}),
    revocation_endpoint: `${publicUrl}/revoke`,
    introspection_endpoint: `${publicUrl}/introspect`,
    pushed_authorization_request_endpoint: `${publicUrl}/par`,
    jwks_uri: `${publicUrl}/jwks`,
    scopes_supported: ['openid', ...scopes],
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: assertion,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: assertion,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: assertion,
    dpop_signing_alg_values_supported: assertion,
    authorization_response_iss_parameter_supported: true,
    ...(clientIdDocuments ? { client_id_metadata_document_supported: true } : {}),
    require_pushed_authorization_requests: false,
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    claims_parameter_supported: false,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    claims_supported: ['sub', 'name', 'email', 'email_verified', 'iss', 'auth_time'],
  };
}

/** Protected resource metadata (RFC 9728 §2). `scopes` are those that most clients then ask for verbatim, so only the minimal set. */
export function resourceMetadata(facts: {
  readonly resource: string;
  readonly name: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly string[];
  readonly dpop: boolean;
}): Record<string, unknown> {
  return {
    resource: facts.resource,
    resource_name: facts.name,
    authorization_servers: [...facts.authorizationServers],
    bearer_methods_supported: ['header'],
    ...(facts.scopes.length > 0 ? { scopes_supported: [...facts.scopes] } : {}),
    ...(facts.dpop
      ? { dpop_signing_alg_values_supported: ASSERTION_ALGORITHMS.filter((name) => name !== 'Ed25519') }
      : {}),
  };
}
