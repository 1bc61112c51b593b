/** What oidc-provider's errors carry besides their message. */
interface EngineErrorFacts {
  readonly error?: unknown;
  readonly error_description?: unknown;
  readonly error_detail?: unknown;
}

/** The name under which the remedies know why an authorization request was refused; the Client itself was found, or its id is no address. */
export function checkOfAuthorization(error: Error): string {
  const { error: code } = error as EngineErrorFacts;
  if (error.name === 'SessionNotFound') return 'request-expired';
  switch (code) {
    case 'invalid_client':
      return 'unknown-client';
    case 'invalid_redirect_uri':
      return 'redirect-uri';
    case 'invalid_target':
      return 'resource';
    case 'invalid_scope':
      return 'scope';
    case 'login_required':
    case 'consent_required':
    case 'interaction_required':
      return 'prompt-none';
    default:
      return /code_challenge|PKCE/.test(descriptionOf(error)) ? 'pkce' : 'authorization-request';
  }
}

/** The same for `/token`. */
export function checkOfToken(error: Error): string {
  const { error: code, error_detail: detail } = error as EngineErrorFacts;
  if (code === 'invalid_client') return 'client-authentication';
  if (code === 'invalid_target') return 'resource';
  if (code === 'invalid_scope') return 'scope';
  const text = typeof detail === 'string' ? detail : '';
  return GRANT_FAULTS.find(([words]) => words.test(text))?.[1] ?? 'token-request';
}

/** By what oidc-provider says of a code or refresh token that is no good. */
const GRANT_FAULTS: readonly (readonly [RegExp, string])[] = [
  [/PKCE|code_verifier/, 'pkce'],
  [/redirect_uri/, 'redirect-uri-changed'],
  [/client mismatch/, 'another-client'],
  [/DPoP|jkt|x5t/, 'proof'],
  [/authorization code/, 'code-expired'],
  [/refresh token|^grant/, 'grant-revoked'],
];

/** What the client was told. */
export function descriptionOf(error: Error): string {
  const { error_description: description } = error as EngineErrorFacts;
  return typeof description === 'string' ? description : error.name;
}

/** What only we know of it. */
export function detailOf(error: Error): string {
  const { error_description: description, error_detail: detail } = error as EngineErrorFacts;
  return [description ?? error.message, detail].filter((part) => typeof part === 'string').join(': ');
}
