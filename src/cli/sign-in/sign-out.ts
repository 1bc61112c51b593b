import { discoverAuthorizationServerMetadata, type FetchLike } from '@modelcontextprotocol/client';
import { CommandFailed } from '../failure.js';
import type { KeptSignIn, SignInFacts } from './kept-sign-in.js';

/** What a sign-out has done. */
export interface SignedOut {
  /** false: there was nothing to forget. */
  readonly wasSignedIn: boolean;
  /** The server has ended the tokens; false: it offers no revocation (RFC 7009), so they last until they expire. */
  readonly revoked: boolean;
}

/**
 * Forgets the sign-in at one MCP server, after asking the authorization server to revoke it.
 * @throws CommandFailed when the server could not be asked; it is forgotten all the same
 */
export async function signOut(url: URL, kept: KeptSignIn, fetch: FetchLike): Promise<SignedOut> {
  const facts = kept.read();
  try {
    return { wasSignedIn: facts?.tokens !== undefined, revoked: facts !== null && (await revoke(facts, fetch)) };
  } catch (cause) {
    throw new CommandFailed(
      `${url.href}: forgotten here, but the server could not be told (${(cause as Error).message}): what it issued lasts until it expires or somebody revokes it`,
      { cause },
    );
  } finally {
    kept.forget();
  }
}

async function revoke({ client, tokens }: SignInFacts, fetch: FetchLike): Promise<boolean> {
  if (tokens?.issuer === undefined) return false;
  const metadata = await discoverAuthorizationServerMetadata(tokens.issuer, { fetchFn: fetch });
  const endpoint = metadata && 'revocation_endpoint' in metadata ? metadata.revocation_endpoint : undefined;
  if (typeof endpoint !== 'string') return false;
  // Revoking the refresh token ends the grant; a server may leave the access token alive (RFC 7009 §2.1).
  for (const token of [tokens.refresh_token, tokens.access_token]) {
    if (token === undefined) continue;
    const { headers, body } = authenticated(client, token);
    const answer = await fetch(endpoint, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(`its revocation endpoint answers ${answer.status}`);
    await answer.text();
  }
  return true;
}

/** The request as this client proves itself (RFC 6749 §2.3.1). */
function authenticated(client: SignInFacts['client'], token: string): { headers: Headers; body: URLSearchParams } {
  const body = new URLSearchParams({ token });
  const headers = new Headers({ accept: 'application/json' });
  const secret = client.client_secret;
  const method = 'token_endpoint_auth_method' in client ? client.token_endpoint_auth_method : undefined;
  if (secret !== undefined && method !== 'client_secret_post' && method !== 'none') {
    const pair = `${encodeURIComponent(client.client_id)}:${encodeURIComponent(secret)}`;
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
  } else {
    body.set('client_id', client.client_id);
    if (secret !== undefined) body.set('client_secret', secret);
  }
  return { headers, body };
}
