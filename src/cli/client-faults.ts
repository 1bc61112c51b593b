import {
  OAuthError,
  InsufficientScopeError,
  IssuerMismatchError,
  RegistrationRejectedError,
  SdkHttpError,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { CommandFailed, inOneLine } from './failure.js';

/** A bearer token, and how the person gave it: `--token` or `GATEHOUSE_TOKEN`. */
export interface GivenToken {
  readonly value: string;
  readonly from: string;
}

/** What went wrong at an MCP server, in one line for the person; never with a token. */
export function explained(error: unknown, url: string, token: GivenToken | undefined): CommandFailed {
  if (error instanceof CommandFailed) return error;
  return new CommandFailed(`${url}: ${inOneLine(reasonOf(error, token))}`, { cause: error });
}

function reasonOf(error: unknown, token: GivenToken | undefined): string {
  const status = error instanceof SdkHttpError ? error.status : undefined;
  if (error instanceof UnauthorizedError || status === 401)
    return token
      ? `the server does not accept the token of ${token.from}. It is unknown, expired, revoked, or of another server`
      : 'the server does not accept the token it has just issued';
  if (status === 403 || error instanceof InsufficientScopeError)
    return token
      ? `the scopes of the token of ${token.from} do not suffice${wanted(error)}`
      : `the sign-in does not bring what this needs${wanted(error)}`;
  // What the answer claims to be is the attacker's choice in a mix-up, so it is not repeated (RFC 9207 §2.4).
  if (error instanceof IssuerMismatchError)
    return error.kind === 'metadata'
      ? `its authorization server names itself ${error.received}, and was expected to be ${error.expected}`
      : 'the answer did not come from the authorization server that was asked; you were not signed in';
  if (error instanceof RegistrationRejectedError) return registrationRefused(error);
  if (error instanceof Error && error.message.includes('does not support dynamic client registration'))
    return 'its authorization server takes no new clients: register this one there (redirect URI http://127.0.0.1/callback) and pass --client-id, or pass --token';
  if (error instanceof OAuthError) return `the authorization server refuses: ${error.code}, ${error.message}`;
  return rootCause(error);
}

function wanted(error: unknown): string {
  const scope = error instanceof InsufficientScopeError ? error.requiredScope : undefined;
  return scope === undefined ? '' : `; the server wants ${scope}`;
}

/** A server without any OAuth metadata has no registration endpoint either, and the guess at it ends here. */
function registrationRefused({ status, body }: RegistrationRejectedError): string {
  if (status === 404 || status === 405)
    return 'the server asks for a bearer token and offers no sign-in: pass --token, or set GATEHOUSE_TOKEN';
  return `the authorization server refuses to register this client (${status} ${body.slice(0, 300)}): ask for a client to be registered there and pass --client-id, or pass --token`;
}

/** `fetch failed` says nothing; its cause names the connection's fault. */
function rootCause(error: unknown): string {
  let current: unknown = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  if (current instanceof AggregateError) current = current.errors[0] ?? current;
  return current instanceof Error ? current.message : String(current);
}
