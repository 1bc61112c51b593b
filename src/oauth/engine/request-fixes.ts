import { canonicalResource, type Resources } from '../../protocol/resource.js';
import { askedScopes, parseScope } from '../../protocol/scope.js';

/** What authorization requests are read against. */
export interface KnownScopes {
  readonly names: readonly string[];
  readonly defaults: readonly string[];
  /** What this Client may have at most; null or undefined: everything. */
  readonly limit?: readonly string[] | null;
}

/** Parameters that mean something only with `openid`; some clients send a `nonce` all the same. */
const OPENID_ONLY = ['nonce', 'max_age', 'claims', 'acr_values', 'id_token_hint'];
const PROMPTS = ['none', 'login', 'consent'];
/** Tells the engine that the Client may have nothing of what it asks for, and what that is: its answer is `invalid_scope`. */
export const WITHHELD = 'gatehouse_withheld';
/** Makes the engine answer `invalid_target`: no resource has this name. */
const NO_RESOURCE = 'urn:gatehouse:no-such-resource';

/**
 * An authorization request as the engine understands it (as-engine.md §8): missing scope and resource are added, the resource is canonical, unknown
 * scopes are dropped. A repeated parameter is left as it is: the engine refuses it (RFC 6749 §3.1). Only a second `resource` is `invalid_target`
 * (RFC 8707 §2).
 */
export function fixAuthorizationRequest(
  asked: URLSearchParams,
  known: KnownScopes,
  resources: Resources,
): URLSearchParams {
  const fixed = new URLSearchParams(asked);
  fixed.delete(WITHHELD);
  // A pushed request was put right when it was pushed.
  if (fixed.has('request_uri')) return fixed;
  const resource = targetOf(fixed.getAll('resource'), resources);
  fixed.set('resource', resource);
  if (fixed.getAll('scope').length < 2) {
    const admin = resource === resources.adminUrl;
    const { scopes, withheld } = askedScopes(fixed.get('scope') ?? undefined, {
      ...(admin ? { names: ['admin'], defaults: ['admin'] } : known),
      limit: known.limit ?? null,
    });
    fixed.set('scope', scopes.join(' '));
    if (withheld.length > 0) fixed.set(WITHHELD, withheld.join(' '));
    if (!scopes.includes('openid')) for (const name of OPENID_ONLY) fixed.delete(name);
  }
  const prompt = fixed.getAll('prompt');
  if (prompt.length === 1) {
    const kept = parseScope(prompt[0]).filter((value) => PROMPTS.includes(value));
    if (kept.length > 0) fixed.set('prompt', kept.join(' '));
    else fixed.delete('prompt');
  }
  // Only the query is offered: an error must be answered by the page rules, which look at redirects.
  const mode = fixed.get('response_mode');
  if (mode !== null && mode !== 'query') fixed.set('response_mode', 'unsupported');
  if (mode === '') fixed.delete('response_mode');
  return fixed;
}

/** A `/token` body with a canonical `resource`, and without scopes that mean nothing here (`offline_access`). */
export function fixTokenRequest(asked: URLSearchParams, resources: Resources): URLSearchParams {
  const fixed = new URLSearchParams(asked);
  const named = fixed.getAll('resource');
  if (named.length > 0) fixed.set('resource', targetOf(named, resources));
  const scope = fixed.getAll('scope');
  if (scope.length === 1) {
    const names = parseScope(scope[0]);
    const kept = names.filter((name) => name !== 'offline_access');
    if (kept.length > 0) fixed.set('scope', kept.join(' '));
    else fixed.delete('scope');
  }
  return fixed;
}

/** Which Client a form with client authentication says it is from; whether that is true the engine finds out. null: none that can be read. */
export function namedClient(form: URLSearchParams, authorization: string | undefined): string | null {
  const basic = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  const inHeader = basic === undefined ? null : decoded(Buffer.from(basic, 'base64').toString('utf8').split(':')[0]!);
  return form.get('client_id') ?? inHeader ?? subjectOf(form.get('client_assertion'));
}

/** RFC 6749 §2.3.1: form-urlencoded. */
function decoded(id: string): string | null {
  try {
    return decodeURIComponent(id.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

/** RFC 7523 §3: the subject of an assertion is its Client. */
function subjectOf(assertion: string | null): string | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(assertion?.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const subject = (claims as { sub?: unknown } | null)?.sub;
    return typeof subject === 'string' ? subject : null;
  } catch {
    return null;
  }
}

function targetOf(named: readonly string[], resources: Resources): string {
  if (named.length > 1) return NO_RESOURCE;
  const [one] = named;
  if (one === undefined || one === '') return resources.mcpUrl;
  return canonicalResource(one, resources) ?? NO_RESOURCE;
}
