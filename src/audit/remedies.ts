/** What to do when a check of a sign-in failed, by the check's name. */
const REMEDIES: Readonly<Record<string, string>> = {
  'unknown-client':
    'The client sent an id that is not registered here (any more). Remove the server from the client and add it again, or clear the client’s stored registration.',
  'client-blocked':
    'An administrator blocked this client: the detail says who, and GET /admin/v1/events?type=client.blocked the rest. Set its status to active if that was a mistake.',
  'client-pending':
    'The client waits for an administrator, because it is new or was set back: set its status to active.',
  'document-unreachable':
    'The client’s metadata document could not be fetched; the detail says why. Check that this server may reach that host, or set GATEHOUSE_CLIENT_ID_DOCUMENTS=off so that clients register instead.',
  'document-client-id':
    'The client’s metadata document names another client_id than its own address. Whoever publishes it must put exactly the address there, or the client must present the address that is there.',
  'document-invalid':
    'The client’s metadata document is not valid; the detail says what is wrong. Whoever publishes it must correct it.',
  'documents-off':
    'The client presented the address of a metadata document, and GATEHOUSE_CLIENT_ID_DOCUMENTS is off. Make it register, pre-register it, or turn documents on.',
  'registration-metadata': 'The client tried to register with values that are refused; the detail names them.',
  'registration-closed':
    'Registration is closed, and no administrator has made this client. POST it to /admin/v1/clients (with the address of its metadata document as client_id, when that is what it presents; otherwise give the client the id that comes back), or set GATEHOUSE_REGISTRATION.',
  'redirect-uri':
    'The redirect URI is not one the client registered. The client must register again, or an administrator adds the URI to it.',
  resource:
    'The client asked for another resource than this server’s MCP URL. Configure the client with exactly that URL.',
  scope: 'The client asked for scopes that nobody may have here, or that this client is not allowed.',
  'prompt-none':
    'The client asked to go on without a page (prompt=none), and the person had to be asked. It must begin again without that.',
  pkce: 'The code verifier does not match the challenge, or PKCE was not used. Update the client.',
  'authorization-request': 'The authorization request is not valid; the detail says why.',
  'request-expired':
    'The sign-in took longer than ten minutes, or its page was kept open. Start again from the client.',
  'other-browser': 'The sign-in was continued in another browser than it began in, or cookies are off.',
  'foreign-callback':
    'An answer of an identity provider came that this server never asked for, or at the wrong address. Check the callback URL that is registered there; otherwise somebody tried to plant a sign-in.',
  'foreign-form': 'The page’s form came without the cookie of its browser: cookies are off, or another site sent it.',
  'consent-denied': 'The person did not approve. Nothing is wrong here.',
  'upstream-denied': 'The person or the identity provider refused the sign-in.',
  'upstream-unavailable':
    'The identity provider did not answer in time or answered garbage. Check that this server reaches it, and its client id and secret.',
  'upstream-configuration':
    'The identity provider refused our client id, secret or callback. Register exactly the callback URL that the provider list shows.',
  'not-admitted': 'No rule of GATEHOUSE_ALLOW admits this account. Add one, or let the person use another account.',
  'user-blocked':
    'An administrator blocked this person: the detail says who, and GET /admin/v1/events?type=user.blocked the rest. Set their status to active if that was a mistake.',
  'code-expired':
    'The code came too late or twice: codes live for a minute and work once. The client must begin again.',
  'redirect-uri-changed':
    'The token request names another redirect URI than the authorization request did. The client must send the same.',
  'another-client': 'The code or token belongs to another client. The client must use its own, or sign in again.',
  proof: 'The token is bound to a key, and the proof for it is missing or of another key.',
  'token-request': 'The token request is not valid; the detail says why.',
  'client-authentication': 'The client’s secret or assertion is wrong. Register the client again.',
  'grant-revoked': 'The connection was revoked. Sign in again from the client.',
};

/** How to mend a failed check; null: nothing more is known than the step's detail. */
export function remedyOf(check: string | null): string | null {
  return check === null ? null : (REMEDIES[check] ?? null);
}
