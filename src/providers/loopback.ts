/** Does this URL lead to this very machine? Only there is http as good as https. */
export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Is this URL https, or on this very machine? */
function isProtected(url: string): boolean {
  return URL.canParse(url) && (new URL(url).protocol === 'https:' || isLoopback(url));
}

/** Refines a URL that secrets are sent to: `httpUrl().refine(...protectedUrl)`. */
export const protectedUrl = [isProtected, { error: 'wants https (http is for loopback addresses only)' }] as const;
