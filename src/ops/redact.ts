/** Shapes of secrets that could slip into a message through somebody's error text (security.md 47, RFC 6750 §5.3). */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\bgth_(at|rt|pat)_[\w-]+/g, 'gth_$1_[hidden]'],
  [/\b(Bearer|DPoP|Basic)\s+[\w.~+/=-]{8,}/gi, '$1 [hidden]'],
  [/\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?/g, '[hidden JWT]'],
  [/\b(gh[opusr]_|github_pat_|ya29\.)[\w-]{10,}/g, '$1[hidden]'],
  [
    /((?:^|[?&\s"'])(?:code|state|token|access_token|refresh_token|id_token|client_secret|client_assertion|code_verifier|password)["']?\s*[=:]\s*["']?)[^&\s"',}]+/gi,
    '$1[hidden]',
  ],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]+:)[^\s/@]+@/gi, '$1[hidden]@'],
];

/** The text without anything that looks like a token, code, secret or password. */
export function redact(text: string): string {
  let clean = text;
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement);
  return clean;
}

const SECRET_NAMES =
  /^(code|state|token|.*_token|client_secret|client_assertion|code_verifier|password|secret|authorization|cookie|set-cookie)$/i;

/** A copy of plain data in which every text is redacted, and what stands under a secret's name is hidden whole. */
export function redactData(data: object): object {
  const hide = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    return SECRET_NAMES.test(key) ? '[hidden]' : redact(value);
  };
  return JSON.parse(JSON.stringify(data), hide) as object;
}
