/** What a 401 or 403 challenge says (RFC 6750 §3, RFC 9728 §5.1). */
export interface ChallengeFacts {
  /** Absent when no credentials came (RFC 6750 §3.1). */
  readonly error?: 'invalid_token' | 'insufficient_scope' | 'invalid_request' | 'invalid_dpop_proof' | undefined;
  readonly description?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  /** Absolute URL; null when discovery is off. */
  readonly resourceMetadata: string | null;
}

/** The value of `WWW-Authenticate`: one challenge, and it begins with `Bearer`, because SDK v1 reads no other. */
export function bearerChallenge({ error, description, scopes, resourceMetadata }: ChallengeFacts): string {
  const parts = [
    error && `error="${error}"`,
    description && `error_description="${quotable(description)}"`,
    scopes && scopes.length > 0 && `scope="${scopes.join(' ')}"`,
    resourceMetadata && `resource_metadata="${resourceMetadata}"`,
  ].filter(Boolean);
  return parts.length > 0 ? `Bearer ${parts.join(', ')}` : 'Bearer';
}

/** `Authorization` read as scheme and value; the scheme is matched case-insensitively (RFC 9110 §11.1). null: no or an unreadable header. */
export function parseAuthorization(header: string | undefined): { scheme: string; value: string } | null {
  const match = /^([A-Za-z0-9-]+) +([^\s]+)$/.exec(header?.trim() ?? '');
  return match ? { scheme: match[1]!.toLowerCase(), value: match[2]! } : null;
}

function quotable(text: string): string {
  return text.replace(/[^\x20-\x7E]/g, ' ').replace(/["\\]/g, "'");
}
